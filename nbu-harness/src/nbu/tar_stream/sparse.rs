//! The map of a sparse file: GNU's pax format 1.0, decimal numbers on lines of their own, ahead of the data.

use super::BLOCK;

/// Segments of one file at most.
const MAX_SEGMENTS: u64 = 1 << 20;

/// A range of a sparse file that has data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// The map as it stands ahead of the data, padded to whole blocks. A hole at the end is written as an empty segment.
pub(crate) fn encode_map(segments: &[Segment], size: u64) -> Vec<u8> {
    let end = segments.last().map_or(0, |s| s.offset + s.length);
    let closing = (end < size || segments.is_empty()).then_some(Segment { offset: size, length: 0 });
    let mut map = Vec::new();
    let mut number = |n: u64| {
        map.extend(n.to_string().bytes());
        map.push(b'\n');
    };
    number(segments.len() as u64 + u64::from(closing.is_some()));
    for segment in segments.iter().chain(&closing) {
        number(segment.offset);
        number(segment.length);
    }
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    map
}

/// Reads a map as its blocks come in.
#[derive(Debug, Default)]
pub(super) struct MapParser {
    number: Option<u64>,
    wanted: Option<u64>,
    offset: Option<u64>,
    segments: Vec<Segment>,
}

impl MapParser {
    /// Takes the next block; true when the map is complete. The rest of the block is padding.
    pub(super) fn feed(&mut self, block: &[u8]) -> Option<bool> {
        for byte in block {
            match byte {
                b'0'..=b'9' => {
                    let digit = u64::from(byte - b'0');
                    self.number = Some(self.number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
                }
                b'\n' => {
                    let number = self.number.take()?;
                    if self.finish_number(number)? {
                        return Some(true);
                    }
                }
                _ => return None,
            }
        }
        Some(false)
    }

    fn finish_number(&mut self, number: u64) -> Option<bool> {
        let Some(wanted) = self.wanted else {
            self.wanted = Some(number);
            return (number <= MAX_SEGMENTS).then_some(number == 0);
        };
        match self.offset.take() {
            None => self.offset = Some(number),
            Some(offset) => {
                let after = self.segments.last().map_or(0, |s| s.offset + s.length);
                if offset < after || offset.checked_add(number)? > i64::MAX.unsigned_abs() {
                    return None;
                }
                self.segments.push(Segment { offset, length: number });
            }
        }
        Some(self.segments.len() as u64 == wanted)
    }

    /// The segments, in ascending order without overlap.
    pub(super) fn into_segments(self) -> Vec<Segment> {
        self.segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_with_many_segments_span_blocks() {
        let segments: Vec<_> = (0..500).map(|i| Segment { offset: i * 8192, length: 4096 }).collect();
        let map = encode_map(&segments, 500 * 8192);
        assert!(map.len() > BLOCK);
        let mut parser = MapParser::default();
        let complete: Vec<_> = map.chunks(BLOCK).map(|b| parser.feed(b).unwrap()).collect();
        assert_eq!(complete.iter().filter(|c| **c).count(), 1);
        assert!(complete.last().unwrap());
        let parsed = parser.into_segments();
        assert_eq!(parsed[..500], segments);
        assert_eq!(parsed[500..], [Segment { offset: 500 * 8192, length: 0 }]);
    }

    #[test]
    fn overlapping_endless_and_malformed_maps_are_refused() {
        for bad in ["2\n0\n10\n5\n1\n", "9999999999\n", "x\n", "\n", "1\n9223372036854775807\n2\n"] {
            assert_eq!(MapParser::default().feed(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
