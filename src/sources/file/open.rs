//! One file as a stream of bytes, whatever it is packed in.

use super::pipe::Pipe;
use flate2::read::MultiGzDecoder;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// An open recording: unpacked bytes, and how much of the file they took.
pub(super) struct Unpacked {
    stream: Box<dyn Read + Send>,
    consumed: Arc<AtomicU64>,
    /// The size at opening of a plain file: what it must still give.
    promised: Option<u64>,
}

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// So many first bytes of a file tell how it is packed.
pub(super) const MAGIC_BYTES: usize = ZSTD.len();

/// Whether a file that begins like this is packed.
pub(super) fn is_packed(front: &[u8]) -> bool {
    front.starts_with(GZIP) || front.starts_with(ZSTD)
}

impl Unpacked {
    /// Opens a file and looks at its first bytes for how it is packed. Gzip members and zstd frames that follow
    /// each other are read as one. What is no regular file ends where it is `interrupted`.
    pub(super) fn open(path: &Path, interrupted: &Arc<AtomicBool>) -> io::Result<Unpacked> {
        if fs::metadata(path)?.is_file() {
            return Unpacked::over(File::open(path)?);
        }
        Unpacked::of(Box::new(Pipe::open(path, interrupted)?), None)
    }

    /// The same for a file that is open, from where it stands.
    pub(super) fn over(file: File) -> io::Result<Unpacked> {
        let size = file.metadata()?.len();
        Unpacked::of(Box::new(file), Some(size))
    }

    fn of(file: Box<dyn Read + Send>, promised: Option<u64>) -> io::Result<Unpacked> {
        let consumed = Arc::new(AtomicU64::new(0));
        let mut raw = Counted { inner: file, consumed: consumed.clone() };
        let mut front = Vec::with_capacity(MAGIC_BYTES);
        raw.by_ref().take(MAGIC_BYTES as u64).read_to_end(&mut front)?;
        let packed_gzip = front.starts_with(GZIP);
        let plain = !is_packed(&front);
        let whole = io::Cursor::new(front).chain(raw);
        let stream: Box<dyn Read + Send> = if packed_gzip {
            Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, whole)))
        } else if plain {
            Box::new(whole)
        } else {
            Box::new(zstd::stream::read::Decoder::new(whole)?)
        };
        Ok(Unpacked { stream, consumed, promised: promised.filter(|_| plain) })
    }

    /// Bytes of the file, packed as they are, that have been read.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    /// Reads until `space` is full or the end is reached: how many bytes came, and what cut them short. A plain
    /// file that ends before the size that it had when it was opened is an error: what it lost is unknown.
    pub(super) fn fill(&mut self, space: &mut [u8]) -> (usize, Option<io::Error>) {
        let mut filled = 0;
        while filled < space.len() {
            match self.stream.read(&mut space[filled..]) {
                Ok(0) => return (filled, self.shrunk()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (filled, Some(error)),
            }
        }
        (filled, None)
    }

    fn shrunk(&self) -> Option<io::Error> {
        let (size, there) = (self.promised?, self.consumed());
        let message = format!("the file shrank while it was read: {there} of {size} bytes were there");
        (there < size).then(|| io::Error::new(io::ErrorKind::UnexpectedEof, message))
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    consumed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(space)?;
        self.consumed.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
