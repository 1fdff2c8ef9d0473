//! Text within JSON: where it ends, and whether its escapes are right.

use super::fault::{Fault, What};

/// The first byte at or after `at` that cannot just be passed over within text: a quote, a backslash
/// or a control character; the length where there is none. Sets `high` where bytes beyond ASCII may
/// have been passed (it may say so of a few bytes after the end too, never the other way round).
#[inline(always)]
pub fn plain_end(bytes: &[u8], mut at: usize, high: &mut bool) -> usize {
    #[cfg(target_arch = "x86_64")]
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<16>) {
        let (stop, beyond_ascii) = sse2::stops(chunk);
        *high |= beyond_ascii != 0;
        if stop != 0 {
            return at + stop.trailing_zeros() as usize;
        }
        at += 16;
    }
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let (stop, beyond_ascii) = stops(u64::from_le_bytes(*chunk));
        *high |= beyond_ascii != 0;
        if stop != 0 {
            return at + stop.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        *high |= !byte.is_ascii();
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            return at;
        }
        at += 1;
    }
    at
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Eight bytes at once. The lowest set bit of the first mask belongs to the first byte that stops;
/// above it the mask may hold false ones, since a borrow carries. The second marks bytes beyond ASCII.
fn stops(word: u64) -> (u64, u64) {
    let zero = |x: u64| x.wrapping_sub(ONES) & !x;
    let quote = zero(word ^ (ONES * u64::from(b'"')));
    let backslash = zero(word ^ (ONES * u64::from(b'\\')));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    ((quote | backslash | control) & HIGHS, word & HIGHS)
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::*;

    /// Sixteen bytes at once: which of them stop, and which are beyond ASCII.
    #[inline(always)]
    pub fn stops(chunk: &[u8; 16]) -> (u32, u32) {
        // SAFETY: SSE2 belongs to every x86_64, and the load is unaligned from sixteen readable bytes.
        unsafe {
            let bytes = _mm_loadu_si128(chunk.as_ptr().cast());
            let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
            let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
            let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
            let stop = _mm_or_si128(_mm_or_si128(quote, backslash), control);
            (_mm_movemask_epi8(stop) as u32, _mm_movemask_epi8(bytes) as u32)
        }
    }
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

    proptest! {
        #[test]
        fn plain_text_ends_where_a_byte_by_byte_look_says(
            bytes in prop::collection::vec(prop_oneof![8 => 0x20u8..0x7f, 1 => any::<u8>()], 0..80),
            at in 0usize..8,
        ) {
            let at = at.min(bytes.len());
            let mut high = false;
            let end = plain_end(&bytes, at, &mut high);
            prop_assert_eq!(end, naive(&bytes, at));
            prop_assert!(high || bytes[at..end].is_ascii());
        }

        #[test]
        fn eight_bytes_at_once_agree_with_one_at_a_time(bytes in any::<[u8; 8]>()) {
            let (stop, beyond_ascii) = stops(u64::from_le_bytes(bytes));
            prop_assert_eq!(stop.trailing_zeros() as usize / 8, naive(&bytes, 0));
            prop_assert_eq!(beyond_ascii == 0, bytes.is_ascii());
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
