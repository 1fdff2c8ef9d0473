//! Whether an unknown file is the text of a known one: a copy of it, packed or not, or its continuation.
//!
//! | the known file | the unknown one | so it |
//! | --- | --- | --- |
//! | is there | holds the same, and no more | is a copy: nothing is read of it as long as that is so |
//! | is not there as it was read | has the same text up to where that was read | is read on from there, as the same part |
//! | is missing | begins like it, and is shorter than what was read | is a copy that was taken before the last reading |
//! | any other | | is a file of its own |
//!
//! So a log that is copied and truncated loses only what was written between the two where the copy matches, a packed
//! one is not read twice, and one on a disk whose number has changed, or restored from a backup, goes on where it was.

use super::files::{Copy, File, Id, Place};
use super::mark::{Front, Mark, PRINT_MAX_BYTES};
use super::{Follower, bytes::Bytes};
use crate::model::time::Time;
use crate::sources::file::split::Framing;
use crate::sources::live::Intake;
use std::cmp::Reverse;
use std::io;

impl Follower<'_> {
    /// Decides what the files are of which nothing has been read.
    pub(super) fn relate(&mut self, at: Time, intake: &mut dyn Intake) {
        self.undecided = false;
        if self.options.framing.is_document() {
            return;
        }
        self.check_copies();
        // Until its text has been looked at, a number that is known may be another file's by now.
        self.undecided = self.files.all.iter().any(|file| file.place == Place::Listed && file.is_unconfirmed());
        let questions: Vec<usize> = (0..self.files.all.len()).filter(|i| self.files.all[*i].is_unknown()).collect();
        let candidates = if questions.is_empty() { Vec::new() } else { self.candidates() };
        for index in questions {
            if candidates.is_empty() {
                self.files.all[index].decided = true;
            } else if let Err(error) = self.relate_one(index, &candidates, at, intake) {
                self.undecided = true;
                if error.kind() != io::ErrorKind::NotFound {
                    let path = self.files.all[index].path.clone();
                    self.trouble(&path, &error);
                }
            }
        }
    }

    /// The files whose text could be found again, those with most text first. Of a CSV file that has only a header not
    /// enough is known.
    fn candidates(&self) -> Vec<usize> {
        let least_lines = if matches!(self.options.framing, Framing::Csv { .. }) { 2 } else { 1 };
        let all = &self.files.all;
        let mut candidates: Vec<usize> = (0..all.len()).filter(|i| all[*i].mark.line > least_lines).collect();
        candidates.sort_by_key(|index| Reverse(all[*index].mark.offset));
        candidates
    }

    /// A copy stays one while neither it nor the original became another text. Where the original is gone, what was
    /// read of it need not be read again.
    fn check_copies(&mut self) {
        for index in 0..self.files.all.len() {
            let file = &self.files.all[index];
            let Some(Copy { of, stamp, length }) = &file.copy_of else { continue };
            let original = self.files.all.iter().find(|other| other.name == *of);
            let (unchanged, length) = (file.stamp == *stamp, *length);
            if unchanged && original.is_some_and(File::is_intact) {
                continue;
            }
            let is_known = unchanged && original.is_some_and(|original| original.mark.offset >= length);
            let file = &mut self.files.all[index];
            file.copy_of = None;
            if is_known {
                (file.mute, file.decided) = (length, true);
            }
        }
    }

    fn relate_one(&mut self, index: usize, candidates: &[usize], at: Time, intake: &mut dyn Intake) -> io::Result<()> {
        if !self.open(index)? {
            self.undecided = true;
            return Ok(());
        }
        let Some(mut bytes) = self.files.all[index].bytes.take() else { return Ok(()) };
        let continued = self.relate_text(index, &mut bytes, candidates, at, intake);
        // There may be many such files; what cannot be opened again stays open.
        if self.files.all[index].place == Place::Detached || matches!(continued, Ok(Some(_))) {
            self.files.all[index].bytes = Some(bytes);
        }
        if let Some(known) = continued? {
            self.tell_truncated(known, intake);
            self.files.continue_in(known, index);
        }
        Ok(())
    }

    /// Compares a text with those that are known; which of them goes on in it.
    fn relate_text(
        &mut self,
        index: usize,
        bytes: &mut Bytes,
        candidates: &[usize],
        at: Time,
        intake: &mut dyn Intake,
    ) -> io::Result<Option<usize>> {
        let packed = bytes.is_packed();
        if packed && !self.files.all[index].settled(at) {
            // What is packed is read as a whole, and it may still be written to.
            self.undecided = true;
            return Ok(None);
        }
        let (alike, length) = match self.alike(index, bytes, candidates) {
            // A packed file that is torn is told when it is read.
            Err(_) if packed => (Vec::new(), 0),
            found => found?,
        };
        for known in alike {
            if self.is_intact(known)? {
                if self.holds_no_more(bytes, length, known)? {
                    let (of, stamp) = (self.files.all[known].name.clone(), self.files.all[index].stamp);
                    self.files.all[index].copy_of = Some(Copy { of, stamp, length });
                    return Ok(None);
                }
                continue;
            }
            let Mark { offset, .. } = self.files.all[known].mark;
            if self.files.all[known].mark.confirm(bytes)?.is_some() {
                return Ok(Some(known));
            }
            if length < offset && matches!(self.files.all[known].place, Place::Missing(_)) {
                self.files.all[index].mute = length;
                self.lose(known, intake);
                break;
            }
        }
        self.files.all[index].decided = true;
        Ok(None)
    }

    /// A log that was truncated may have been written to after it was copied.
    fn tell_truncated(&mut self, known: usize, intake: &mut dyn Intake) {
        let file = &self.files.all[known];
        if matches!(file.place, Place::Missing(_)) && file.id == Id::default() {
            let name = &file.name;
            let why = format!("`{name}` was truncated: what was written to it after it was copied is lost");
            self.hole(&why, intake);
        }
    }

    /// The files that begin like this one, those with most text first, and how long this one is.
    fn alike(&self, index: usize, bytes: &mut Bytes, candidates: &[usize]) -> io::Result<(Vec<usize>, u64)> {
        let front = Front::of(bytes)?;
        let is_alike = |known: &usize| *known != index && front.leads_to(&self.files.all[*known].mark);
        let alike: Vec<usize> = candidates.iter().copied().filter(is_alike).collect();
        let length = if alike.is_empty() { 0 } else { bytes.length()? };
        Ok((alike, length))
    }

    /// Whether a known file is there as it was read.
    fn is_intact(&mut self, known: usize) -> io::Result<bool> {
        if !self.files.all[known].is_intact() {
            return Ok(false);
        }
        if !self.open(known)? {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        let file = &mut self.files.all[known];
        let Some(mut bytes) = file.bytes.take() else { return Ok(true) };
        let intact = file.confirm(&mut bytes)?.is_some();
        file.bytes = Some(bytes);
        if !intact {
            self.files.begin_anew(known, self.round);
        }
        Ok(intact)
    }

    /// Whether the first `length` bytes of an intact file are what the other one holds. How both begin is known to be
    /// the same.
    fn holds_no_more(&mut self, bytes: &mut Bytes, length: u64, intact: usize) -> io::Result<bool> {
        if !self.open(intact)? {
            return Ok(false);
        }
        let file = &mut self.files.all[intact];
        let Some(other) = &mut file.bytes else { return Ok(false) };
        let there = if other.is_packed() { file.mark.offset } else { other.length()? };
        if length > there {
            return Ok(false);
        }
        let from = length.saturating_sub(PRINT_MAX_BYTES as u64);
        let last = |bytes: &mut Bytes| -> io::Result<Vec<u8>> {
            let mut space = vec![0; (length - from) as usize];
            bytes.read_at(from, &mut space)?;
            Ok(space)
        };
        Ok(last(bytes)? == last(other)?)
    }
}
