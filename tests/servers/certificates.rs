//! Certificates for servers that speak TLS: an authority that nobody else knows, and a server's of it.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Makes, in a folder: `ca.pem`, the authority; `server.crt` and `server.key` for this machine, by its name and its address;
/// and `server.pem`, all of it in one.
pub fn make(folder: &Path) {
    make_for(folder, "DNS:localhost,IP:127.0.0.1");
}

/// The same, with a server's certificate for other names.
pub fn make_for(folder: &Path, names: &str) {
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(folder);
        let output = command.output().unwrap_or_else(|error| panic!("there is no openssl, install it: {error}"));
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    // What clients ask for that take the standard by its word (RFC 5280), as Python's since 3.13.
    let authority = "-subj /CN=authority -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.pem";
    openssl(&format!("req -x509 -newkey rsa:2048 -nodes -days 2 {authority}"));
    openssl("req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr");
    let extensions = format!("subjectAltName={names}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n");
    fs::write(folder.join("extensions"), extensions).unwrap();
    let signed = "-CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.crt";
    openssl(&format!("x509 -req -in server.csr {signed}"));
    let read = |name| fs::read_to_string(folder.join(name)).unwrap();
    fs::write(folder.join("server.pem"), ["server.key", "server.crt", "ca.pem"].map(read).concat()).unwrap();
}
