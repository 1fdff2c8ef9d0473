//! Text within JSON: where it ends, and whether its escapes are right.

use super::fault::{Fault, What};

/// The bytes looked at together.
const BLOCK: usize = 64;

/// Finds where plain text ends: at a quote, a backslash or a control character. All of them in 64
/// bytes are found at once, so that the next text there costs next to nothing.
pub struct Plain<'b> {
    bytes: &'b [u8],
    masks: Masks,
    /// Where the block begins that was looked at last.
    block: usize,
    /// A bit for each of its bytes that ends plain text.
    ends: u64,
    /// Bytes beyond ASCII may have been passed. (It may say so of a few bytes too many.)
    pub beyond_ascii: bool,
}

/// A way to look at a block: a bit for each byte that ends plain text, and whether any is beyond ASCII.
#[derive(Clone, Copy, Debug)]
pub struct Masks(fn(&[u8; BLOCK]) -> (u64, bool));

impl Masks {
    /// The fastest that this processor can do.
    pub fn best() -> Masks {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function needs.
            return Masks(|block| unsafe { masks_avx2(block) });
        }
        Masks(masks)
    }
}

impl<'b> Plain<'b> {
    pub fn new(bytes: &'b [u8], masks: Masks) -> Plain<'b> {
        let mut plain = Plain { bytes, masks, block: 0, ends: 0, beyond_ascii: false };
        plain.look(0);
        plain
    }

    /// The first byte at or after `at` that ends plain text; the length where there is none. Each call
    /// goes on behind the one before.
    #[inline(always)]
    pub fn end(&mut self, mut at: usize) -> usize {
        loop {
            let within = at - self.block;
            if within < BLOCK {
                let ends = self.ends >> within;
                if ends != 0 {
                    return at + ends.trailing_zeros() as usize;
                }
                at = self.block + BLOCK;
            }
            if at >= self.bytes.len() {
                return self.bytes.len();
            }
            self.look(at);
        }
    }

    #[inline(never)]
    fn look(&mut self, at: usize) {
        self.block = at;
        let (ends, beyond_ascii) = match self.bytes.get(at..).and_then(<[u8]>::first_chunk) {
            Some(block) => self.masks.0(block),
            None => self.masks.0(&padded(&self.bytes[at..])),
        };
        self.ends = ends;
        self.beyond_ascii |= beyond_ascii;
    }
}

/// The last bytes of a document, and blanks.
#[cold]
fn padded(rest: &[u8]) -> [u8; BLOCK] {
    let mut block = [b' '; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// 32 bytes at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn masks_avx2(block: &[u8; BLOCK]) -> (u64, bool) {
    use std::arch::x86_64::*;
    let (mut ends, mut beyond_ascii) = (0, 0);
    for part in 0..2 {
        // SAFETY: the load is unaligned from 32 bytes of the block.
        let bytes = unsafe { _mm256_loadu_si256(block.as_ptr().add(part * 32).cast()) };
        let quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'"' as i8));
        let backslash = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\' as i8));
        let control = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes);
        let end = _mm256_or_si256(_mm256_or_si256(quote, backslash), control);
        ends |= u64::from(_mm256_movemask_epi8(end) as u32) << (part * 32);
        beyond_ascii |= _mm256_movemask_epi8(bytes);
    }
    (ends, beyond_ascii != 0)
}

/// 16 bytes at a time.
#[cfg(target_arch = "x86_64")]
fn masks(block: &[u8; BLOCK]) -> (u64, bool) {
    use std::arch::x86_64::*;
    let (mut ends, mut beyond_ascii) = (0, 0);
    for part in 0..4 {
        // SAFETY: SSE2 belongs to every x86_64, and the load is unaligned from 16 bytes of the block.
        let (end, high) = unsafe {
            let bytes = _mm_loadu_si128(block.as_ptr().add(part * 16).cast());
            let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
            let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
            let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
            let end = _mm_or_si128(_mm_or_si128(quote, backslash), control);
            (_mm_movemask_epi8(end) as u32, _mm_movemask_epi8(bytes))
        };
        ends |= u64::from(end) << (part * 16);
        beyond_ascii |= high;
    }
    (ends, beyond_ascii != 0)
}

#[cfg(not(target_arch = "x86_64"))]
fn masks(block: &[u8; BLOCK]) -> (u64, bool) {
    portable_masks(block)
}

/// Eight bytes at a time.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn portable_masks(block: &[u8; BLOCK]) -> (u64, bool) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOWS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // The high bit of each byte that is zero; no carry reaches the next byte.
    let zero = |word: u64| !(((word & LOWS) + LOWS) | word | LOWS);
    let (mut ends, mut all) = (0, 0);
    for (part, eight) in block.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let control = zero(word & (ONES * 0xe0));
        // Gathers the eight high bits into one byte.
        let bits = ((quote | backslash | control) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        ends |= bits << (part * 8);
        all |= word;
    }
    (ends, all & !LOWS != 0)
}

/// Checks the escape whose backslash stands at `at`; gives the byte after it.
#[cold]
pub fn escape(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match unit(bytes, at)? {
            0xd800..0xdc00 => match bytes.get(at + 6..at + 8) {
                Some(b"\\u") => match unit(bytes, at + 6)? {
                    0xdc00..0xe000 => Ok(at + 12),
                    _ => Err(What::Surrogate.at(at)),
                },
                _ if at + 8 > bytes.len() => Err(What::Truncated.at(bytes.len())),
                _ => Err(What::Surrogate.at(at)),
            },
            0xdc00..0xe000 => Err(What::Surrogate.at(at)),
            _ => Ok(at + 6),
        },
        Some(_) => Err(What::Escape.at(at)),
        None => Err(What::Truncated.at(bytes.len())),
    }
}

/// The four hexadecimal digits of the escape `\uXXXX` that stands at `at`.
fn unit(bytes: &[u8], at: usize) -> Result<u32, Fault> {
    let digits = bytes.get(at + 2..at + 6).ok_or(What::Truncated.at(bytes.len()))?;
    digits.iter().try_fold(0, |n, digit| {
        let digit = char::from(*digit).to_digit(16).ok_or(What::Escape.at(at))?;
        Ok(n << 4 | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(bytes: &[u8], at: usize) -> usize {
        let stop = |b: &u8| matches!(b, b'"' | b'\\' | 0..0x20);
        bytes[at..].iter().position(stop).map_or(bytes.len(), |n| at + n)
    }

    fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![20 => 0x20u8..0x7f, 1 => any::<u8>()], 0..most)
    }

    proptest! {
        #[test]
        fn plain_text_ends_where_a_byte_by_byte_look_says(
            bytes in bytes(300),
            skips in prop::collection::vec(0usize..90, 1..9),
        ) {
            let mut plain = Plain::new(&bytes, Masks::best());
            let mut at = 0;
            for skip in skips {
                let start = (at + skip).min(bytes.len());
                at = plain.end(start);
                prop_assert_eq!(at, naive(&bytes, start));
                prop_assert!(plain.beyond_ascii || bytes[start..at].is_ascii());
            }
        }

        #[test]
        fn so_many_bytes_at_a_time_say_the_same(bytes in bytes(65)) {
            let block = padded(&bytes);
            prop_assert_eq!(portable_masks(&block), masks(&block));
            prop_assert_eq!(portable_masks(&block), Masks::best().0(&block));
        }
    }

    #[test]
    fn escapes_are_whole_or_refused() {
        let check = |text: &str| escape(text.as_bytes(), 0).map_err(|fault| fault.what);
        assert_eq!(check(r"\n"), Ok(2));
        assert_eq!(check(r"\u00fC"), Ok(6));
        assert_eq!(check(r"\ud83d\ude00"), Ok(12));
        assert_eq!(check(r"\x"), Err(What::Escape));
        assert_eq!(check(r"\u00g0"), Err(What::Escape));
        assert_eq!(check(r"\"), Err(What::Truncated));
        assert_eq!(check(r"\u00"), Err(What::Truncated));
        assert_eq!(check(r"\ud83d"), Err(What::Truncated));
        assert_eq!(check(r"\ud83d\n      "), Err(What::Surrogate));
        assert_eq!(check(r"\ud83d\u0041"), Err(What::Surrogate));
        assert_eq!(check(r"\ude00"), Err(What::Surrogate));
    }
}
