//! Files that are either whole or not there.

use anyhow::Context;
use std::fs::Permissions;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Whether a file can be written at this path, as far as can be told before the work is done.
pub fn writable(path: &Path) -> anyhow::Result<()> {
    let folder = folder(path);
    anyhow::ensure!(folder.is_dir(), "{} cannot be written: there is no folder {}", path.display(), folder.display());
    anyhow::ensure!(!path.is_dir(), "{} cannot be written: it is a folder", path.display());
    Ok(())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file through a temporary one beside it, so that no one ever reads half of it. What is no
/// regular file (`/dev/stdout`, a pipe) is written as it is.
pub fn write(path: &Path, content: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let context = || format!("{} cannot be written", path.display());
    if path.metadata().is_ok_and(|is| !is.is_file()) {
        let mut out = BufWriter::new(std::fs::File::options().write(true).open(path).with_context(context)?);
        content(&mut out)?;
        return out.flush().with_context(context);
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".throughline-");
    if let Some(permissions) = readable() {
        builder.permissions(permissions);
    }
    let file = builder.tempfile_in(folder(path)).with_context(context)?;
    let mut out = BufWriter::new(file);
    content(&mut out).with_context(context)?;
    let file = out.into_inner().map_err(|e| e.into_error()).with_context(context)?;
    file.persist(path).map_err(|e| e.error).with_context(context)?;
    Ok(())
}

/// As files that people make are: the process's mask still takes away from it.
#[cfg(unix)]
fn readable() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt;
    Some(Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn readable() -> Option<Permissions> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("findings.jsonl");
        write(&path, |out| Ok(out.write_all(b"one\n")?)).unwrap();
        let failed = write(&path, |out| {
            out.write_all(b"half")?;
            anyhow::bail!("no more")
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left lying about");
        let nowhere = folder.path().join("no/such/file");
        for told in [write(&nowhere, |_| Ok(())), writable(&nowhere), writable(folder.path())] {
            let told = format!("{:#}", told.unwrap_err());
            assert!(told.contains("cannot be written"), "{told}");
        }
        writable(&path).unwrap();
    }
}
