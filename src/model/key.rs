//! Key values in a compact, reversible form.
//!
//! Most business ids are a short prefix and a run of digits or hexadecimal digits. Packed, such a
//! run takes half its length, and the form is canonical: two texts are equal exactly when their
//! packed bytes are, so the packed bytes serve for comparing, hashing and storing.
//!
//! ```text
//! o-00ffab1234567890  →  [HEX | 2] "o-" [8 bytes]           18 bytes → 12
//! 4711                →  [RAW] "4711"
//! ```

use super::KeyId;
use std::hash::{BuildHasher, Hasher};

/// A tail of at least this many hexadecimal digits is packed.
const PACK_MIN: usize = 6;
const HEX_FLAG: u8 = 0x80;
const PREFIX_MAX: usize = 0x3f;
const ODD_FLAG: u8 = 0x40;

/// Appends the packed form of `text` to `out`.
pub fn pack(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let tail = hex_tail(bytes);
    let prefix = bytes.len() - tail;
    if tail < PACK_MIN || prefix > PREFIX_MAX {
        out.push(0);
        out.extend_from_slice(bytes);
        return;
    }
    let odd = tail % 2;
    let tag = HEX_FLAG | if odd == 1 { ODD_FLAG } else { 0 } | prefix as u8;
    match bytes.first_chunk() {
        Some(front) if prefix <= front.len() && tail == 16 => pack_usual(tag, front, &bytes[prefix..], out),
        _ => pack_any(tag, bytes, prefix, out),
    }
}

/// A short prefix and sixteen digits: what most ids are, written at once.
#[inline(always)]
fn pack_usual(tag: u8, front: &[u8; 8], digits: &[u8], out: &mut Vec<u8>) {
    let prefix = usize::from(tag) & PREFIX_MAX;
    let mut packed = [0; 17];
    packed[0] = tag;
    packed[1..9].copy_from_slice(front);
    let (eights, _) = digits.as_chunks::<8>();
    let fours = [nibbles(u64::from_le_bytes(eights[0])), nibbles(u64::from_le_bytes(eights[1]))];
    packed[1 + prefix..9 + prefix].copy_from_slice(fours.as_flattened());
    out.extend_from_slice(&packed[..9 + prefix]);
}

fn pack_any(tag: u8, bytes: &[u8], prefix: usize, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&bytes[..prefix]);
    let digits = &bytes[prefix..];
    let odd = digits.len() % 2;
    if odd == 1 {
        out.push(nibble(digits[0]).unwrap_or(0));
    }
    let (eights, rest) = digits[odd..].as_chunks::<8>();
    for eight in eights {
        out.extend_from_slice(&nibbles(u64::from_le_bytes(*eight)));
    }
    for pair in rest.chunks_exact(2) {
        out.push(nibble(pair[0]).unwrap_or(0) << 4 | nibble(pair[1]).unwrap_or(0));
    }
}

/// How many hexadecimal digits stand at the end.
#[inline]
fn hex_tail(bytes: &[u8]) -> usize {
    let (rest, eights) = bytes.as_rchunks::<8>();
    for (count, eight) in eights.iter().rev().enumerate() {
        let others = not_hex(u64::from_le_bytes(*eight));
        if others != 0 {
            return count * 8 + others.leading_zeros() as usize / 8;
        }
    }
    eights.len() * 8 + rest.iter().rev().take_while(|byte| nibble(**byte).is_some()).count()
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x80 * ONES;

/// The high bit of each byte that is no hexadecimal digit.
#[inline]
fn not_hex(eight: u64) -> u64 {
    // Below 0x80, a byte is at least `least` where adding the rest to 0x80 carries into the high bit.
    let at_least = |least: u8| (eight & !HIGHS) + ONES * u64::from(0x80 - least);
    let digit = at_least(b'0') & !at_least(b'9' + 1);
    let letter = at_least(b'a') & !at_least(b'f' + 1);
    (!(digit | letter) | eight) & HIGHS
}

/// Eight hexadecimal digits as four bytes.
#[inline]
fn nibbles(eight: u64) -> [u8; 4] {
    // A letter has the bit 0x40, and its low nibble is nine less than its value.
    let each = (eight & (0x0f * ONES)) + 9 * (eight >> 6 & ONES);
    let pairs = (each << 4 | each >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    ((fours | fours >> 16) as u32).to_le_bytes()
}

/// The text that [`pack`] was given.
pub fn unpack(packed: &[u8]) -> String {
    let tag = packed[0];
    if tag & HEX_FLAG == 0 {
        return String::from_utf8_lossy(&packed[1..]).into_owned();
    }
    let prefix = (tag as usize) & PREFIX_MAX;
    let mut text = String::from_utf8_lossy(&packed[1..1 + prefix]).into_owned();
    let mut digits = &packed[1 + prefix..];
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    if tag & ODD_FLAG != 0 {
        text.push(digit(digits[0]));
        digits = &digits[1..];
    }
    for byte in digits {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

#[inline]
fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// A 64-bit hash of one key of one flow. Fixed for all time within a major version: archives and
/// snapshots hold it.
#[inline]
pub fn hash(flow: super::FlowId, name: KeyId, packed: &[u8]) -> u64 {
    const STATE: foldhash::fast::FixedState = foldhash::fast::FixedState::with_seed(0x7468_726f_7567_686c);
    let mut hasher = STATE.build_hasher();
    hasher.write_u32(u32::from(flow) << 8 | u32::from(name));
    hasher.write(packed);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        pack(text, &mut out);
        out
    }

    #[test]
    fn ids_take_half_their_digits() {
        assert_eq!(packed("o-00ffab1234567890").len(), 11);
        assert_eq!(packed("4711").len(), 5);
    }

    proptest! {
        #[test]
        fn eight_digits_at_once_are_packed_as_one_by_one(text in "[0-9a-fA-G/:`g\u{b0}é]{0,40}", digits in "[0-9a-f]{0,40}|[0-9a-f]{16}") {
            let text = format!("{text}{digits}");
            let tail = text.bytes().rev().take_while(|byte| nibble(*byte).is_some()).count();
            prop_assert_eq!(hex_tail(text.as_bytes()), tail);
            let prefix = text.len() - tail;
            if tail >= PACK_MIN && prefix <= PREFIX_MAX {
                let digit = |at: usize| nibble(text.as_bytes()[at]).unwrap();
                let odd = tail % 2;
                let first = (odd == 1).then(|| digit(prefix)).into_iter();
                let pairs = (prefix + odd..text.len()).step_by(2).map(|at| digit(at) << 4 | digit(at + 1));
                let expected: Vec<u8> = first.chain(pairs).collect();
                prop_assert_eq!(&packed(&text)[1 + prefix..], expected);
            }
        }

        #[test]
        fn packing_is_reversible(text in "[a-z-]{0,4}[0-9a-f]{0,20}|\\PC{0,80}|[0-9a-f]{60,90}") {
            prop_assert_eq!(unpack(&packed(&text)), text);
        }
    }
}
