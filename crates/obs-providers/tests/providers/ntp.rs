//! Time servers that answer, and those that do not: datagrams over loopback. A server nobody here wrote is asked in the workspace's
//! `tests/clock.rs`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use obs_core::TestRecorder;
use obs_providers::{Clock, ProviderError, jiff};
use tokio::net::UdpSocket;

/// Seconds from 1900 to 1970.
const TO_1970: u64 = 2_208_988_800;

/// The time now by this machine, so much ahead, as NTP has it.
fn time(ahead: Duration) -> u64 {
    let now = Timestamp::now().as_duration();
    let now = Duration::try_from(now).unwrap() + ahead;
    let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
    (now.as_secs() + TO_1970) << 32 | fraction
}

/// A right answer to a question by a clock that is so much ahead.
fn answer(question: &[u8; 48], ahead: Duration) -> [u8; 48] {
    let mut answer = [0; 48];
    answer[..4].copy_from_slice(&[0x24, 2, 6, 0xec]);
    answer[24..32].copy_from_slice(&question[40..]);
    let now = time(ahead).to_be_bytes();
    answer[32..40].copy_from_slice(&now);
    answer[40..].copy_from_slice(&now);
    answer
}

/// A server that answers each question with what `say` makes of it and of its number.
async fn server(say: impl Fn(&[u8; 48], usize) -> Vec<[u8; 48]> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut question = [0; 48];
        for count in 0.. {
            let (_, client) = socket.recv_from(&mut question).await.unwrap();
            for answer in say(&question, count) {
                socket.send_to(&answer, client).await.unwrap();
            }
        }
    });
    address
}

fn clock() -> Clock {
    TestRecorder::new().run(|| Clock::new("ntp"))
}

const AHEAD: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn the_offset_of_a_server_that_is_ahead_is_within_its_error() {
    let address = server(|question, _| vec![answer(question, AHEAD)]).await;
    let offset = clock().ask_ntp(&address.to_string()).await.unwrap();
    let apart = (offset.seconds - 1.5).abs();
    assert!(apart <= offset.error.as_secs_f64(), "{offset:?}");
    assert!(offset.error < Duration::from_secs(1), "{offset:?}");
}

/// What a server says of itself makes the offset less sure.
#[tokio::test]
async fn the_distance_of_a_server_from_its_source_is_part_of_the_error() {
    let address = server(|question, _| {
        let mut answer = answer(question, AHEAD);
        // Half a second to its source and back, a quarter of dispersion.
        answer[4..8].copy_from_slice(&0x8000_u32.to_be_bytes());
        answer[8..12].copy_from_slice(&0x4000_u32.to_be_bytes());
        vec![answer]
    });
    let offset = clock().ask_ntp(&address.await.to_string()).await.unwrap();
    assert!(offset.error >= Duration::from_millis(500), "{offset:?}");
}

/// Anybody can send datagrams; only who has seen the question knows its mark.
#[tokio::test]
async fn foreign_datagrams_are_no_answers() {
    let address = server(|question, _| {
        let mut forged = answer(question, Duration::from_hours(1));
        forged[24] ^= 1;
        vec![forged, answer(question, AHEAD)]
    });
    let offset = clock().ask_ntp(&address.await.to_string()).await.unwrap();
    assert!((offset.seconds - 1.5).abs() < 1.0, "{offset:?}");
}

#[tokio::test]
async fn what_teaches_nothing_is_an_error_that_says_what_to_do() {
    type Change = fn(&mut [u8; 48]);
    let cases: [(Change, &str); 5] = [
        (|answer| answer[0] |= 0xc0, "not synchronised"),
        (|answer| answer[1] = 0, "refuses; ask another"),
        (
            |answer| {
                answer[1] = 0;
                answer[12..16].copy_from_slice(b"RATE");
            },
            "less often",
        ),
        (|answer| answer[0] = 0x23, "makes no sense"),
        // It says that it held the question for longer than that was away.
        (|answer| answer[40] += 1, "makes no sense"),
    ];
    for (change, expected) in cases {
        let address = server(move |question, _| {
            let mut answer = answer(question, AHEAD);
            change(&mut answer);
            vec![answer]
        });
        let (clock, address) = (clock(), address.await.to_string());
        let error = clock.ask_ntp(&address).await.unwrap_err().to_string();
        assert!(
            error.contains(expected) && error.contains(&address),
            "{error}"
        );
        assert!(clock.offset().is_none());
    }
}

/// Time stands still but for what is waited for.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_or_nowhere_is_given_up() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let error = clock().ask_ntp(&address).await.unwrap_err();
    assert!(error.to_string().contains("did not answer"), "{error}");
    let error = clock().ask_ntp("").await.unwrap_err();
    assert!(matches!(error, ProviderError::Ntp { .. }), "{error}");
}

/// A kiss of `RATE` doubles the time between two questions, one of `DENY` ends them.
#[tokio::test]
async fn a_server_that_asks_for_fewer_questions_gets_fewer() {
    let address = server(|question, count| {
        let mut answer = answer(question, AHEAD);
        let kiss: Option<&[u8; 4]> = [None, Some(b"RATE"), Some(b"DENY")][count];
        if let Some(code) = kiss {
            answer[1] = 0;
            answer[12..16].copy_from_slice(code);
        }
        vec![answer]
    });
    let (clock, address) = (clock(), address.await.to_string());
    let start = Instant::now();
    let error = clock.ask_ntp_every(&address, Duration::ZERO).await;
    assert!(error.to_string().contains("denies"), "{error}");
    // At once, after the least there is, and after that has doubled. A sleep may be late, and is never early.
    assert!(start.elapsed() >= Duration::from_secs(3));
    assert!(clock.offset().is_some(), "the first answer counts");
}
