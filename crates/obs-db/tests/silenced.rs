//! What a filter keeps from the tracing layer is said, and not found out by an empty panel.

use obs_core::unseen_warnings;
use obs_db::QueryLayer;
use tracing::Dispatch;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

#[test]
fn a_layer_that_a_filter_silences_warns() {
    let layer = || obs_core::TestRecorder::new().run(|| QueryLayer::new("orders"));
    let _heard: Dispatch = tracing_subscriber::registry().with(layer()).into();
    assert_eq!(unseen_warnings(), []);

    // As most programs are set up.
    let info = tracing_subscriber::registry()
        .with(layer())
        .with(LevelFilter::INFO);
    let _silenced: Dispatch = info.into();
    let warnings = unseen_warnings();
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:?}");
    };
    assert!(warning.text.contains("sqlx::query=debug"), "{warning}");
}
