//! What a feed does wrong, by a seed: the same for an injected clock and for a real socket.

/// How one connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It stays, and says nothing any more.
    Mute,
    /// The server closes it in order.
    Close,
    /// It breaks.
    Reset,
}

/// One connection: the numbers of its messages as they are sent, and its end.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) numbers: Vec<u64>,
    pub(crate) end: End,
}

/// What must be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) messages: u64,
    pub(crate) gaps: u64,
    pub(crate) missed: u64,
    pub(crate) out_of_order: u64,
    pub(crate) duplicates: u64,
    pub(crate) stalls: u64,
    pub(crate) closed: u64,
    pub(crate) broken: u64,
}

/// Numbers that look random and are the same for every run (the constants are those of Numerical Recipes).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// So many connections of so many steps each.
pub(crate) fn script(seed: u64, connections: usize, steps: usize) -> (Vec<Connection>, Counts) {
    let (mut random, mut counts) = (Random(seed), Counts::default());
    let script = (0..connections).map(|_| connection(&mut random, &mut counts, steps));
    (script.collect(), counts)
}

fn connection(random: &mut Random, counts: &mut Counts, steps: usize) -> Connection {
    let mut numbers = vec![random.below(1_000_000)];
    let mut next = numbers[0] + 1;
    for _ in 0..steps {
        match random.below(20) {
            0 => {
                let lost = 1 + random.below(9);
                counts.gaps += 1;
                counts.missed += lost;
                next += lost;
            }
            1 => {
                counts.duplicates += 1;
                numbers.push(next - 1);
            }
            2 => {
                counts.out_of_order += 1;
                numbers.extend([next + 1, next]);
                next += 2;
                continue;
            }
            _ => {}
        }
        numbers.push(next);
        next += 1;
    }
    counts.messages += numbers.len() as u64;
    let end = [End::Mute, End::Close, End::Reset][usize::try_from(random.below(3)).unwrap()];
    match end {
        End::Mute => counts.stalls += 1,
        End::Close => counts.closed += 1,
        End::Reset => counts.broken += 1,
    }
    Connection { numbers, end }
}
