//! Bytes as text.

/// The bytes that a text stands for, with or without padding, in the alphabet for files or for addresses.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    if text.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for four in text.chunks(4) {
        let mut bits = 0u32;
        for digit in four {
            bits = bits << 6 | sextet(*digit)?;
        }
        bits <<= 6 * (4 - four.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Some(bytes)
}

fn sextet(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

/// The whole number that stands there in two's complement, the highest byte first, with a point before so many of its
/// digits.
pub(super) fn decimal(bytes: &[u8], scale: usize) -> String {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut rest: Vec<u8> = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in rest.iter_mut().rev() {
            let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (sum, over);
        }
    }
    let mut digits = Vec::new();
    while rest.iter().any(|byte| *byte != 0) {
        let mut over = 0u32;
        for byte in &mut rest {
            let part = over << 8 | u32::from(*byte);
            *byte = (part / 10) as u8;
            over = part % 10;
        }
        digits.push(b'0' + over as u8);
    }
    while digits.len() <= scale {
        digits.push(b'0');
    }
    let mut text = String::from(if negative { "-" } else { "" });
    for (place, digit) in digits.iter().enumerate().rev() {
        text.push(char::from(*digit));
        if place == scale && scale > 0 {
            text.push('.');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_in_both_alphabets() {
        for (text, bytes) in [("", &b""[..]), ("Zg==", b"f"), ("Zm8", b"fo"), ("Zm9v", b"foo"), ("_-8=", b"\xff\xef")] {
            assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
        }
        for bad in ["A", "AB*D", "é"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn decimals_are_exact_whatever_their_size() {
        let of = |text: &str, scale| decimal(&decode(text).unwrap(), scale);
        assert_eq!(of("MDk=", 2), "123.45");
        assert_eq!(of("AP8=", 0), "255");
        assert_eq!(of("/w==", 2), "-0.01");
        assert_eq!(of("gA==", 0), "-128");
        assert_eq!(of("", 2), "0.00");
        assert_eq!(of("AQAAAAAAAAAAAAAAAAAAAAAA", 3), "87112285931760246646623899502532662132.736");
    }
}
