//! Bytes that follow from their offset in an image: what a replay writes, and what the discarding plug-in reads.
//!
//! The same offset always gives the same byte, whatever the sizes of the pieces, and neighbouring words differ, so that
//! data at the wrong place is noticed.

/// Bytes of a word.
const WORD: usize = 8;

/// The word at an index; the multiplier is odd, so no two words of an image are equal.
const fn word(index: u64) -> [u8; WORD] {
    (index ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xd134_2543_de82_ef95).to_le_bytes()
}

/// Fills a buffer with the bytes from `offset` on.
pub fn fill(buffer: &mut [u8], offset: u64) {
    each_piece(buffer, offset, |piece, expected| piece.copy_from_slice(expected));
}

/// Where `buffer`, read from `offset` on, first differs from the pattern: an index into it.
pub fn first_difference(buffer: &[u8], offset: u64) -> Option<usize> {
    let (mut at, mut index) = (0, offset / WORD as u64);
    let mut skip = usize::try_from(offset % WORD as u64).unwrap_or(0);
    while at < buffer.len() {
        let expected = word(index);
        let piece = &buffer[at..buffer.len().min(at + WORD - skip)];
        if let Some(wrong) = piece.iter().zip(&expected[skip..]).position(|(found, right)| found != right) {
            return Some(at + wrong);
        }
        at += piece.len();
        (index, skip) = (index.wrapping_add(1), 0);
    }
    None
}

fn each_piece(buffer: &mut [u8], offset: u64, mut put: impl FnMut(&mut [u8], &[u8])) {
    let mut index = offset / WORD as u64;
    let skip = usize::try_from(offset % WORD as u64).unwrap_or(0);
    let head = if skip == 0 { 0 } else { (WORD - skip).min(buffer.len()) };
    let (first, rest) = buffer.split_at_mut(head);
    if head > 0 {
        put(first, &word(index)[skip..skip + head]);
        index = index.wrapping_add(1);
    }
    let mut words = rest.chunks_exact_mut(WORD);
    for chunk in &mut words {
        put(chunk, &word(index));
        index = index.wrapping_add(1);
    }
    let tail = words.into_remainder();
    let length = tail.len();
    put(tail, &word(index)[..length]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_make_the_same_bytes() {
        let mut whole = vec![0; 200];
        fill(&mut whole, 40);
        for size in 1..30 {
            let mut pieces = vec![0; 200];
            for (n, piece) in pieces.chunks_mut(size).enumerate() {
                fill(piece, 40 + (n * size) as u64);
            }
            assert_eq!(pieces, whole, "pieces of {size}");
        }
        assert_eq!(first_difference(&whole, 40), None);
        assert_eq!(first_difference(&whole[3..], 43), None);
        assert_ne!(first_difference(&whole, 48), None, "data at the wrong place");
        whole[177] ^= 1;
        assert_eq!(first_difference(&whole, 40), Some(177));
        assert_eq!(first_difference(&whole[5..], 45), Some(172));
    }
}
