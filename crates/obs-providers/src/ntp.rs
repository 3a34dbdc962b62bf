//! Asking a time server by NTP.
//!
//! A client of our own, because none was found that keeps what a bound needs: `rsntp` 4 measures the way by the clock on the wall and
//! drops how far the server itself may be off; `sntpc` 0.11 counts in microseconds and gives up at the first foreign datagram. One
//! packet of 48 bytes goes either way (RFC 5905, section 7.3).

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock::careful;
use crate::feed::without_secrets;
use crate::{Clock, Offset, ProviderError};

/// The port of NTP.
const PORT: u16 = 123;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest time between two questions to a server that asked for fewer.
const RAREST: Duration = Duration::from_hours(1);

/// Version 4, from a client (RFC 5905, section 7.3).
const QUESTION: u8 = 4 << 3 | 3;

/// The mode of an answer.
const SERVER: u8 = 4;

/// What the leap indicator says where a clock is not synchronised.
const UNSYNCHRONISED: u8 = 3;

/// Seconds from 1900, where NTP begins to count, to 1970.
const TO_1970: i64 = 2_208_988_800;

impl Clock {
    /// Asks a time server by NTP: `server` is a name or an address, with a port where that is not 123.
    ///
    /// The error covers the server's own: half of its way to the source of its time, and the dispersion on it, as it reports them. So
    /// the offset is that against the source, as long as the server is right about itself.
    ///
    /// ```no_run
    /// # async fn ask() -> Result<(), obs_providers::ProviderError> {
    /// use obs_providers::Clock;
    ///
    /// let offset = Clock::new("ntp").ask_ntp("time.example").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ProviderError::Ntp`] where the server cannot be reached, does not answer within five seconds, refuses, is not synchronised
    /// itself or answers nonsense.
    pub async fn ask_ntp(&self, server: &str) -> Result<Offset, ProviderError> {
        let answer = timeout(PATIENCE, self.exchange(server)).await;
        answer
            .unwrap_or(Err(Fault::Silent))
            .map_err(|fault| fault.of(server))
    }

    /// Asks a time server every so often, at most once a second, whether it answers or not: spawn it, and abort it at the end. Public
    /// servers ask for no more than one question a minute. A server that asks for fewer gets half as many from then on.
    ///
    /// It ends where the server denies its service (a kiss of `DENY` or `RSTR`), after which nobody may go on asking (RFC 5905,
    /// section 7.4), with the error that says so.
    pub async fn ask_ntp_every(&self, server: &str, every: Duration) -> ProviderError {
        let mut every = every.clamp(Duration::from_secs(1), RAREST);
        loop {
            let mut next = Instant::now() + every;
            let answer = timeout(PATIENCE, self.exchange(server)).await;
            match answer.unwrap_or(Err(Fault::Silent)) {
                Err(fault @ Fault::Denied) => return fault.of(server),
                Err(Fault::TooOften) => {
                    next += every;
                    every = (every * 2).min(RAREST);
                }
                Ok(_) | Err(_) => {}
            }
            sleep_until(next).await;
        }
    }

    async fn exchange(&self, server: &str) -> Result<Offset, Fault> {
        let socket = connect(server).await.map_err(|_| Fault::Unreachable)?;
        // Instead of our time, which is nobody's business, a number that only who has seen the question can know.
        let mark = RandomState::new().hash_one(PORT);
        let mut packet = [0; LENGTH];
        packet[0] = QUESTION;
        packet[40..].copy_from_slice(&mark.to_be_bytes());
        let asked = self.asked();
        let sent = socket.send(&packet).await;
        sent.map_err(|_| Fault::Unreachable)?;
        loop {
            let received = socket.recv(&mut packet).await;
            let at = careful();
            let length = received.map_err(|_| Fault::Unreachable)?;
            // What is not the answer to this question is somebody else's, and no reason to give up.
            if length < LENGTH || packet[24..32] != mark.to_be_bytes() {
                continue;
            }
            let answer = Answer::read(&packet)?;
            let between = at.monotonic.saturating_sub(asked.monotonic);
            if answer.held > between.saturating_add(answer.doubt) {
                return Err(Fault::Nonsense);
            }
            return Ok(self.learn(asked, at, answer.middle, answer.held, answer.doubt));
        }
    }
}

/// A socket that takes datagrams of the server only. The name is looked up each time: pools of servers change.
async fn connect(server: &str) -> std::io::Result<UdpSocket> {
    let has_port =
        || matches!(server.rsplit_once(':'), Some((_, port)) if port.parse::<u16>().is_ok());
    let addresses = if let Ok(address) = server.parse::<IpAddr>() {
        vec![(address, PORT).into()]
    } else if has_port() {
        tokio::net::lookup_host(server).await?.collect()
    } else {
        tokio::net::lookup_host((server, PORT)).await?.collect()
    };
    let address = addresses.first().ok_or(std::io::ErrorKind::NotFound)?;
    let any: IpAddr = if address.is_ipv4() {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    Ok(socket)
}

/// Bytes of a packet without extensions.
const LENGTH: usize = 48;

/// What a server answered, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    /// The middle between its receiving and its sending, since 1970.
    middle: i64,
    /// The time from the one to the other.
    held: u64,
    /// By how much its time may be wrong.
    doubt: u64,
}

impl Answer {
    fn read(packet: &[u8; LENGTH]) -> Result<Self, Fault> {
        let [flags, stratum, _, precision, ..] = *packet;
        if flags & 7 != SERVER {
            return Err(Fault::Nonsense);
        }
        if stratum == 0 {
            return Err(Fault::of_kiss(&packet[12..16]));
        }
        if flags >> 6 == UNSYNCHRONISED || stratum > 15 {
            return Err(Fault::Unsynchronised);
        }
        let (received, sent) = (timestamp(packet, 32), timestamp(packet, 40));
        let (Some(received), Some(sent)) = (received, sent) else {
            return Err(Fault::Nonsense);
        };
        let held = u64::try_from(sent - received).map_err(|_| Fault::Nonsense)?;
        let resolution = resolution(i8::from_be_bytes([precision]));
        // Half of the way to its source, and the dispersion on it (RFC 5905, section 10: the root distance).
        let root = short(packet, 4) / 2 + short(packet, 8);
        Ok(Self {
            middle: received + (sent - received) / 2,
            held,
            // Both of its times are rounded.
            doubt: root.saturating_add(resolution.saturating_mul(2)),
        })
    }
}

/// A time of 64 bits, in nanoseconds since 1970. Without its first bit it lies after February 2036 (RFC 4330, section 3).
fn timestamp(packet: &[u8; LENGTH], at: usize) -> Option<i64> {
    let bits = u64::from_be_bytes(packet[at..at + 8].try_into().ok()?);
    let (seconds, fraction) = (i64::try_from(bits >> 32).ok()?, bits & 0xffff_ffff);
    let era = if seconds >> 31 == 0 { 1 << 32 } else { 0 };
    let seconds = seconds + era - TO_1970;
    let fraction = i64::try_from((fraction * 1_000_000_000) >> 32).ok()?;
    (bits != 0).then_some(seconds * 1_000_000_000 + fraction)
}

/// A time span of 32 bits, in nanoseconds.
fn short(packet: &[u8; LENGTH], at: usize) -> u64 {
    let bits = packet[at..at + 4].iter();
    let bits = bits.fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
    ((bits * 1_000_000_000) >> 16) + 1
}

/// The steps in which a clock counts, from the logarithm of their seconds; a day for what cannot be.
fn resolution(precision: i8) -> u64 {
    match u32::from(precision.unsigned_abs()) {
        bits @ 0..=32 if precision <= 0 => (1_000_000_000 >> bits) + 1,
        bits @ 0..=16 => 1_000_000_000 << bits,
        _ => 86_400_000_000_000,
    }
}

/// Why nothing was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Unreachable,
    Silent,
    TooOften,
    Denied,
    Refused,
    Unsynchronised,
    Nonsense,
}

impl Fault {
    /// What a kiss of death says (RFC 5905, section 7.4).
    fn of_kiss(code: &[u8]) -> Self {
        match code {
            b"RATE" => Self::TooOften,
            b"DENY" | b"RSTR" => Self::Denied,
            b"INIT" | b"STEP" => Self::Unsynchronised,
            _ => Self::Refused,
        }
    }

    fn of(self, server: &str) -> ProviderError {
        let server = without_secrets(server).to_owned();
        let fault = match self {
            Self::Unreachable => {
                "it cannot be reached; is its name right, and may UDP leave for its port?"
            }
            Self::Silent => "it did not answer within five seconds; is UDP from its port let in?",
            Self::TooOften => "it wants to be asked less often",
            Self::Denied => "it denies its service; ask another",
            Self::Refused => "it refuses; ask another",
            Self::Unsynchronised => "its own clock is not synchronised; ask another",
            Self::Nonsense => "its answer makes no sense; is it a time server?",
        };
        ProviderError::Ntp { server, fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer of stratum 2 that was received at the first of these times of NTP and sent at the second.
    fn packet(received: u64, sent: u64) -> [u8; LENGTH] {
        let mut packet = [0; LENGTH];
        packet[..4].copy_from_slice(&[4 << 3 | SERVER, 2, 6, (-20_i8).to_be_bytes()[0]]);
        // A quarter of a second there and back, and a sixteenth of dispersion.
        packet[4..8].copy_from_slice(&0x4000_u32.to_be_bytes());
        packet[8..12].copy_from_slice(&0x1000_u32.to_be_bytes());
        packet[32..40].copy_from_slice(&received.to_be_bytes());
        packet[40..].copy_from_slice(&sent.to_be_bytes());
        packet
    }

    #[test]
    fn an_answer_is_read() {
        // 2026-11-25T15:00:00Z and half a second later.
        let at = (1_795_618_800 + 2_208_988_800_u64) << 32;
        let answer = Answer::read(&packet(at, at + (1 << 31))).unwrap();
        assert_eq!(answer.middle, 1_795_618_800_250_000_000);
        assert_eq!(answer.held, 500_000_000);
        // An eighth, a sixteenth, and two millionths of a second; each rounded up.
        assert_eq!(answer.doubt, 125_000_000 + 62_500_000 + 1 + 2 * 954);
    }

    #[test]
    fn time_goes_on_after_the_first_era() {
        let at = |seconds: u64| timestamp(&packet(seconds << 32, 1), 32).unwrap() / 1_000_000_000;
        // The last second of the first era and the first ones of the next: 7 February 2036.
        assert_eq!(at(0xffff_ffff), 2_085_978_495);
        assert_eq!(
            timestamp(&packet(1, 1), 32),
            Some(2_085_978_496_000_000_000)
        );
        assert_eq!(at(1), 2_085_978_497);
        assert_eq!(timestamp(&packet(0, 1), 32), None, "it does not know");
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let read = |change: fn(&mut [u8; LENGTH])| {
            let mut packet = packet(4 << 62, 4 << 62 | 1 << 63);
            packet[32] = 0xee;
            packet[40] = 0xee;
            change(&mut packet);
            Answer::read(&packet).map(drop)
        };
        assert_eq!(read(|_| {}), Ok(()));
        assert_eq!(read(|packet| packet[0] = 0xe4), Err(Fault::Unsynchronised));
        assert_eq!(read(|packet| packet[1] = 16), Err(Fault::Unsynchronised));
        assert_eq!(read(|packet| packet[0] = QUESTION), Err(Fault::Nonsense));
        assert_eq!(
            read(|packet| packet[40] = 0xed),
            Err(Fault::Nonsense),
            "sent before it came"
        );
        assert_eq!(read(|packet| packet[40..].fill(0)), Err(Fault::Nonsense));
        for (code, fault) in [
            (b"RATE", Fault::TooOften),
            (b"DENY", Fault::Denied),
            (b"RSTR", Fault::Denied),
            (b"INIT", Fault::Unsynchronised),
            (b"X\0\xff\n", Fault::Refused),
        ] {
            let mut packet = packet(1, 1);
            packet[1] = 0;
            packet[12..16].copy_from_slice(code);
            assert_eq!(Answer::read(&packet), Err(fault));
        }
    }

    #[test]
    fn no_precision_is_taken_for_none() {
        assert_eq!(resolution(-20), 954);
        assert_eq!(resolution(0), 1_000_000_001);
        assert_eq!(resolution(3), 8_000_000_000);
        assert_eq!(
            (resolution(127), resolution(i8::MIN)),
            (86_400_000_000_000, 86_400_000_000_000)
        );
    }
}
