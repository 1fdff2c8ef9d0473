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
    let tail = bytes.iter().rev().take_while(|b| NIBBLES[**b as usize] != NO_DIGIT).count();
    let prefix = bytes.len() - tail;
    if tail < PACK_MIN || prefix > PREFIX_MAX {
        out.push(0);
        out.extend_from_slice(bytes);
        return;
    }
    let odd = tail % 2;
    out.push(HEX_FLAG | if odd == 1 { ODD_FLAG } else { 0 } | prefix as u8);
    out.extend_from_slice(&bytes[..prefix]);
    let digits = &bytes[prefix..];
    if odd == 1 {
        out.push(NIBBLES[digits[0] as usize]);
    }
    out.extend(digits[odd..].chunks_exact(2).map(|pair| NIBBLES[pair[0] as usize] << 4 | NIBBLES[pair[1] as usize]));
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

const NO_DIGIT: u8 = 0xff;

/// The value of each hexadecimal digit, lower case alone.
const NIBBLES: [u8; 256] = {
    let mut nibbles = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        nibbles[b"0123456789abcdef"[digit] as usize] = digit as u8;
        digit += 1;
    }
    nibbles
};

/// A 64-bit hash of one key of one flow. Fixed for all time within a major version: archives and
/// snapshots hold it.
#[inline]
pub fn hash(flow: super::FlowId, name: KeyId, packed: &[u8]) -> u64 {
    let mut hasher = foldhash::fast::FixedState::with_seed(0x7468_726f_7567_686c).build_hasher();
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
        fn packing_is_reversible(text in "[a-z-]{0,4}[0-9a-f]{0,20}|\\PC{0,80}|[0-9a-f]{60,90}") {
            prop_assert_eq!(unpack(&packed(&text)), text);
        }
    }
}
