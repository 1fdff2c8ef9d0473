//! A folder in which each file is one record.

use super::Follower;
use super::files::Stamp;
use crate::model::time::Time;
use crate::sources::file::cut::{Chunk, Cutter};
use crate::sources::file::split::Framing;
use crate::sources::live::{Intake, Record};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Documents are read in blocks of so many bytes.
const BLOCK_BYTES: usize = 64 << 10;
/// A document that is followed is handed over as one, so it is held as one; `verify` reads larger ones.
const FOLLOWED_MAX_BYTES: u64 = 256 << 20;

impl Follower<'_> {
    /// Hands a document over once it is whole. One that was changed afterwards is another record.
    pub(super) fn read_document(&mut self, index: usize, at: Time, intake: &mut dyn Intake) -> io::Result<()> {
        let file = &mut self.files.all[index];
        if file.is_read() || file.mute > 0 {
            // What was there before the start is not wanted, unless it changes.
            (file.read, file.closed, file.mute) = (Some(file.stamp), true, 0);
            file.is_whole(at);
            return Ok(());
        }
        if !file.settled(at) {
            file.closed = false;
            return Ok(());
        }
        let (path, framing) = (file.path.clone(), self.options.framing);
        let chunks = whole(&path, framing)?;
        let file = &mut self.files.all[index];
        if Stamp::of(&fs::metadata(&file.path)?) != file.stamp {
            return Ok(());
        }
        let again = file.read.is_some();
        (file.read, file.closed) = (Some(file.stamp), true);
        file.is_whole(at);
        if again {
            let path = file.path.clone();
            let name = self.files.name(&path);
            let file = &mut self.files.all[index];
            (file.name, file.part) = (name, None);
        }
        let file = &mut self.files.all[index];
        let part = *file.part.get_or_insert_with(|| intake.part(&file.name));
        for chunk in &chunks {
            chunk.header().into_iter().for_each(|header| intake.header(part, header));
            for record in chunk.records() {
                intake.record(Record::plain(part, record.line, chunk.bytes(record)));
            }
            for problem in chunk.problems() {
                intake.undecodable(part, problem.line, problem.reason, &problem.detail, &problem.text);
            }
        }
        self.unsent_bytes += usize::try_from(file.stamp.size).unwrap_or(usize::MAX);
        self.unsent_records += 1;
        self.unsent = true;
        Ok(())
    }
}

/// All of a file.
fn whole(path: &Path, framing: Framing) -> io::Result<Vec<Chunk>> {
    let mut cutter = Cutter::open(path, framing, BLOCK_BYTES, &Arc::default())?;
    let mut chunks = Vec::new();
    loop {
        let mut chunk = Chunk::default();
        cutter.next(&mut chunk);
        if cutter.consumed() > FOLLOWED_MAX_BYTES {
            let why = format!(
                "a document that is followed has at most {FOLLOWED_MAX_BYTES} bytes; `verify` reads larger ones"
            );
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        let last = chunk.is_last();
        chunks.push(chunk);
        if last {
            return Ok(chunks);
        }
    }
}
