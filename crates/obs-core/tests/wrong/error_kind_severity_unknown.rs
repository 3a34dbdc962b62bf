#[derive(obs_core::ErrorKind)]
enum Failed {
    #[error_kind(severity = "fatal")]
    Badly,
}

fn main() {}
