//! What the cells of native buckets count for. Where a value is counted, [`obs_core::cells::grid`] says.

use obs_core::cells::grid::{ChunkKey, FRACTION_BITS, Grid, NATIVE, ZERO_THRESHOLD};

/// How fine native buckets are: eight to an octave, each 9.06 % wider than the one below.
pub(crate) const SCHEMA: i32 = 3;
const BUCKETS_OF_OCTAVE: i32 = 8;

const SIGN_BIT: u32 = 63;
/// What a float adds to its exponent.
const BIAS: i32 = 1023;

/// Chunks in the order of their values.
pub(crate) fn order(key: ChunkKey) -> i32 {
    let octave = i32::from(key.octave());
    if key.is_negative() { -octave } else { octave }
}

/// The index of the first native bucket in a chunk.
fn first_index(key: ChunkKey) -> i32 {
    (i32::from(key.octave()) - BIAS) * BUCKETS_OF_OCTAVE + 1
}

/// What a cell counts for.
pub(crate) struct CellOf {
    /// The native bucket; none for the zero bucket.
    pub(crate) index: Option<i32>,
    /// The declared bucket.
    pub(crate) bucket: usize,
    /// How many values it holds.
    pub(crate) held: u64,
}

/// The declared bucket of a value.
pub(crate) fn bucket_of(grid: &Grid, value: f64) -> usize {
    grid.bounds().partition_point(|bound| value > *bound)
}

/// What the cells of a chunk count for that hold anything, in the order of their distance from 0.
#[inline]
pub(crate) fn each_held(grid: &Grid, key: ChunkKey, cells: &[u64], mut show: impl FnMut(CellOf)) {
    let held = || cells.iter().enumerate().filter(|(_, held)| **held != 0);
    if key == ChunkKey::ZERO {
        for (cell, held) in held() {
            let end = grid
                .within_zero()
                .get(cell)
                .copied()
                .unwrap_or(ZERO_THRESHOLD);
            show(CellOf {
                index: None,
                bucket: bucket_of(grid, end),
                held: *held,
            });
        }
        return;
    }
    let octave = u64::from(key.octave()) << FRACTION_BITS;
    let sign = u64::from(key.is_negative()) << SIGN_BIT;
    let value = |end: u64| f64::from_bits(sign | (octave + end));
    let native = |at: usize| NATIVE.get(at).copied().unwrap_or(1 << FRACTION_BITS);
    let first = first_index(key);
    let mut splits = grid.splits(key).peekable();
    if splits.peek().is_none() {
        // It lies within one declared bucket, as most octaves do.
        let bucket = bucket_of(grid, value(1 << (FRACTION_BITS - 1)));
        for (index, held) in (first..).zip(cells) {
            if *held != 0 {
                show(CellOf {
                    index: Some(index),
                    bucket,
                    held: *held,
                });
            }
        }
        return;
    }
    let mut passed = 0;
    let mut index = first;
    for held in cells {
        let of = index;
        // The farthest value of a cell, whose bits less one are below its end.
        let end = splits.next_if(|split| *split < native(passed));
        let end = end.unwrap_or_else(|| {
            passed += 1;
            index += 1;
            native(passed - 1)
        });
        if *held != 0 {
            show(CellOf {
                index: Some(of),
                bucket: bucket_of(grid, value(end)),
                held: *held,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use obs_core::buckets;
    use proptest::prelude::*;

    use super::*;

    /// The native index of a value by what the specification says, and by the comparisons of Prometheus' client.
    fn expected(value: f64) -> Option<i32> {
        let magnitude = value.abs();
        if magnitude <= 2_f64.powi(-128) {
            return None;
        }
        let (mut half, mut exponent) = (magnitude, 0);
        while half < 0.5 {
            half *= 2.0;
            exponent -= 1;
        }
        while half >= 1.0 {
            half /= 2.0;
            exponent += 1;
        }
        let bounds = NATIVE.map(|fraction| f64::from_bits((1022 << FRACTION_BITS) | fraction));
        let of_half = [0.5]
            .into_iter()
            .chain(bounds)
            .filter(|bound| half > *bound);
        let of_half = i32::try_from(of_half.count()).unwrap();
        Some(of_half + (exponent - 1) * BUCKETS_OF_OCTAVE)
    }

    /// What a value counts for.
    fn found(grid: &Grid, value: f64) -> (bool, Option<i32>, usize) {
        let (key, at) = grid.locate(value);
        let (mut of, mut cells) = (Vec::new(), vec![0; grid.cells(key)]);
        cells[at] = 1;
        each_held(grid, key, &cells, |cell| {
            of.push((key.is_negative(), cell.index, cell.bucket));
        });
        assert_eq!(of.len(), 1);
        of[0]
    }

    fn assert_right(grid: &Grid, value: f64) {
        let index = expected(value);
        let bucket = grid.bounds().iter().filter(|bound| value > **bound).count();
        let is_negative = value < 0.0 && index.is_some();
        assert_eq!(
            found(grid, value),
            (is_negative, index, bucket),
            "{value:e}"
        );
    }

    const EXOTIC: &[f64] = &[
        -f64::MAX,
        -1e300,
        -4.0,
        -1.000_000_000_000_000_2,
        -1.0,
        -0.707_106_781_186_547_5,
        -2.938_735_877_055_719e-39,
        -1e-40,
        0.0,
        5e-324,
        2.938_735_877_055_719e-39,
        2.938_735_877_055_72e-39,
        0.545_253_866_332_628_8,
        1.0,
        1.001,
        1.002,
        1.003,
        1.189_207_115_002_721,
        1024.0,
        f64::MAX,
    ];

    const FAMILIES: [&[f64]; 6] = [
        &[],
        buckets::LATENCY,
        buckets::ORDER_TIME,
        buckets::SHARE,
        buckets::SIGNED_BPS,
        EXOTIC,
    ];

    #[test]
    fn bounds_and_their_neighbours_are_where_they_belong() {
        for bounds in FAMILIES {
            let grid = Grid::new(bounds);
            // Those beyond are alike.
            let powers = || {
                (-130..70)
                    .chain(1020..1024)
                    .map(|exponent| 2_f64.powi(exponent))
            };
            let native = powers().flat_map(|power| {
                NATIVE.map(|fraction| power * f64::from_bits((1023 << FRACTION_BITS) | fraction))
            });
            let extremes = [
                0.0,
                f64::MIN_POSITIVE,
                5e-324,
                1.0,
                f64::MAX,
                ZERO_THRESHOLD,
            ];
            let all = native.chain(powers()).chain(extremes);
            for value in all.chain(bounds.iter().copied()) {
                for near in [value.next_down(), value, value.next_up()] {
                    for value in [near, -near].into_iter().filter(|value| value.is_finite()) {
                        assert_right(&grid, value);
                    }
                }
            }
        }
    }

    /// What `tests/servers/native-histogram` has printed: every bound from 2^-30 to 2^22, both floats beside it, and their negatives.
    #[test]
    fn bounds_and_their_neighbours_are_where_the_client_of_prometheus_has_them() {
        let printed = include_str!("../tests/native_bounds.txt");
        assert_eq!(printed.lines().count(), (52 * 8 + 1) * 6);
        for grid in FAMILIES.map(Grid::new) {
            for line in printed.lines() {
                let (bits, index) = line.split_once(' ').unwrap();
                let value = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
                let (is_negative, found, _) = found(&grid, value);
                assert_eq!(found, Some(index.parse().unwrap()), "{value:e}");
                assert_eq!(is_negative, value < 0.0);
            }
        }
    }

    #[test]
    fn no_native_bucket_is_wider_than_a_tenth() {
        let mut bounds = vec![1.0];
        bounds.extend(NATIVE.map(|fraction| f64::from_bits((1023 << FRACTION_BITS) | fraction)));
        bounds.push(2.0);
        assert!(bounds.windows(2).all(|pair| pair[1] / pair[0] < 1.090_6));
        assert_eq!(ZERO_THRESHOLD.to_bits(), 2_f64.powi(-128).to_bits());
    }

    proptest! {
        #[test]
        fn any_number_is_where_it_belongs(bits in any::<u64>(), near in -1e4_f64..1e4) {
            for bounds in FAMILIES {
                let grid = Grid::new(bounds);
                for value in [f64::from_bits(bits), near, near.recip()] {
                    if value.is_finite() {
                        assert_right(&grid, value);
                    }
                }
            }
        }
    }
}
