//! What an address says behind its `?`, as both clients of MySQL need it.

use crate::sources::live::Failure;
use std::fs::File;

/// The options that name a file of TLS, in both spellings.
const FILES: [&str; 6] = ["ssl-ca", "sslca", "ssl-cert", "sslcert", "ssl-key", "sslkey"];

/// The options of an address with what they say.
pub(super) fn options(url: &str) -> Vec<(&str, String)> {
    let (_, query) = url.split_once('?').unwrap_or_default();
    query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name, decoded(value))).collect()
}

/// Refuses an address that names a file which cannot be read: the clients would not say which.
pub(super) fn check_files(url: &str) -> Result<(), Failure> {
    for (name, path) in options(url).iter().filter(|(name, _)| FILES.contains(name)) {
        let unreadable = |error| Failure(format!("`{name}` in `url` names {path}, which cannot be read: {error}"));
        File::open(path).map_err(unreadable)?;
    }
    Ok(())
}

/// Text of an address, in which `%20` stands for a blank.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_an_address_are_read_and_their_files_looked_for() {
        assert_eq!(options("mysql://u:p?x@h/d"), []);
        let url = "mysql://h/d?ssl-mode=VERIFY_CA&ssl-ca=%2Fnowhere%2Fa%20ca.pem&odd=%zz";
        let expected = [("ssl-mode", "VERIFY_CA"), ("ssl-ca", "/nowhere/a ca.pem"), ("odd", "%zz")];
        assert_eq!(options(url), expected.map(|(name, value)| (name, value.to_owned())));
        assert!(check_files(url).unwrap_err().0.contains("`ssl-ca` in `url` names /nowhere/a ca.pem"));
        assert_eq!(check_files("mysql://h/d?ssl-mode=REQUIRED"), Ok(()));
    }
}
