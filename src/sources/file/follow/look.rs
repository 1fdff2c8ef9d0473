//! Which files are there in this round, and where those went that are not.

use super::bytes::Bytes;
use super::files::{File, Id, Place, Stamp};
use super::{FILES_MAX, Follower, Halt, OPEN_MAX, Start};
use crate::model::time::Time;
use crate::sources::file::locate;
use crate::sources::file::split::Framing;
use crate::sources::live::{Failure, Intake};
use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

impl Follower<'_> {
    /// Brings what is known to what is there; whether everything could be seen.
    pub(super) fn look(&mut self, at: Time, intake: &mut dyn Intake) -> Result<bool, Halt> {
        let look = locate::look(&self.options.path).map_err(|e| Halt::Failed(Failure(e.to_string())))?;
        self.doubt = false;
        let mut complete = true;
        for (path, error) in look.unreadable {
            match error.kind() {
                // A link that leads nowhere is none of the files.
                io::ErrorKind::NotFound if fs::symlink_metadata(&path).is_ok() => {}
                io::ErrorKind::NotFound => self.doubt = true,
                _ => {
                    complete = false;
                    self.trouble(&path, &error);
                }
            }
        }
        let listed = self.sight(look.found, at);
        if complete {
            self.miss(&listed, at, intake);
            self.suspect_nothing_there();
        }
        self.relate(at, intake);
        if complete && !self.undecided {
            self.give_up(intake);
        }
        self.files.tidy();
        Ok(complete)
    }

    /// Takes in the files that match.
    fn sight(&mut self, found: Vec<(PathBuf, Metadata)>, at: Time) -> HashSet<Id> {
        let known = self.known();
        let before = self.looked.unwrap_or(Time::MIN);
        let lists_whole = self.options.framing == Framing::Document;
        let mut listed = HashSet::new();
        let mut counted = self.files.all.iter().filter(|f| f.counts()).count();
        for (path, metadata) in found.into_iter().filter(|(_, metadata)| metadata.is_file()) {
            let id = Id::of(&metadata);
            if !listed.insert(id) {
                continue;
            }
            if let Some(&index) = known.get(&id) {
                let file = &mut self.files.all[index];
                if !file.counts() {
                    (file.whole, file.ended) = (before, before);
                }
                file.place = Place::Listed;
                if file.seen(&metadata, at) && (lists_whole || file.bytes.as_ref().is_some_and(Bytes::is_packed)) {
                    // It was not whole before, since it was still written to, and so it was not visible.
                    file.whole = file.whole.max(before);
                }
                if file.path != path {
                    self.doubt |= !lists_whole;
                    file.moved = file.name != path.display().to_string();
                    file.path = path;
                }
            } else if counted < FILES_MAX {
                counted += 1;
                let mut file = File::new(self.files.name(&path), path, id, before);
                file.seen(&metadata, at);
                if self.first && self.options.start == Start::End {
                    file.mute = metadata.len();
                }
                self.files.all.push(file);
            } else {
                let path = &self.options.path;
                self.troubles
                    .push(format!("more than {FILES_MAX} files match `{path}`; narrow it, or remove old files"));
                break;
            }
        }
        listed
    }

    fn known(&self) -> HashMap<Id, usize> {
        let with_id = self.files.all.iter().enumerate().filter(|(_, file)| file.id != Id::default());
        with_id.map(|(index, file)| (file.id, index)).collect()
    }

    /// Looks for the files that no longer match.
    fn miss(&mut self, listed: &HashSet<Id>, at: Time, intake: &mut dyn Intake) {
        for index in 0..self.files.all.len() {
            let file = &mut self.files.all[index];
            match file.place {
                Place::Listed if !listed.contains(&file.id) => {}
                Place::Detached => {
                    if let Some(Ok(metadata)) = file.bytes.as_ref().map(Bytes::metadata) {
                        file.seen(&metadata, at);
                    }
                    continue;
                }
                _ => continue,
            }
            if file.is_done(at) {
                file.place = Place::Gone;
                file.bytes = None;
                continue;
            }
            self.doubt |= self.options.framing != Framing::Document;
            let is_document = self.options.framing == Framing::Document;
            let found = file.bytes.take().or_else(|| if is_document { None } else { search(file) });
            let Some(bytes) = found else {
                file.place = Place::Missing(self.round);
                continue;
            };
            if let Ok(metadata) = bytes.metadata() {
                file.seen(&metadata, at);
            }
            file.place = Place::Detached;
            file.moved = true;
            file.bytes = Some(bytes);
            self.suspect_another(index, intake);
        }
    }

    /// A file that was rotated away, while another one that nobody has seen was rotated away after it.
    fn suspect_another(&mut self, index: usize, intake: &mut dyn Intake) {
        let known = self.known();
        let file = &self.files.all[index];
        let name = file.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let unseen = |entry: fs::DirEntry| {
            let rotated = entry.file_name().to_string_lossy().strip_prefix(&name).is_some_and(is_rotation);
            let metadata = entry.metadata().ok().filter(|found| rotated && found.is_file())?;
            let later = Stamp::of(&metadata).modified > file.stamp.modified;
            (later && !known.contains_key(&Id::of(&metadata))).then(|| entry.path())
        };
        let Some(path) = entries(&file.path).find_map(unseen) else { return };
        let why = format!(
            "`{}` was rotated more than once since it was last looked at: nobody has read `{}`; a glob that matches \
             the rotated files as well, such as `{}*`, loses none",
            file.path.display(),
            path.display(),
            file.path.display(),
        );
        self.hole(&why, intake);
    }

    /// What was missing a round ago and has not turned up since is lost.
    fn give_up(&mut self, intake: &mut dyn Intake) {
        for index in 0..self.files.all.len() {
            if matches!(self.files.all[index].place, Place::Missing(round) if round < self.round) {
                self.lose(index, intake);
            }
        }
    }

    /// The rest of a file cannot be found.
    pub(super) fn lose(&mut self, index: usize, intake: &mut dyn Intake) {
        let file = &mut self.files.all[index];
        (file.place, file.closed) = (Place::Gone, true);
        let why = format!(
            "`{}` was truncated or removed, and what may have been written to it behind line {} could not be found",
            file.path.display(),
            file.mark.line - 1,
        );
        self.hole(&why, intake);
    }

    /// Where no file is there at all, a path that is written wrongly looks like a quiet system. A folder of documents
    /// may well be empty, if there is one.
    fn suspect_nothing_there(&mut self) {
        let path = &self.options.path;
        let may_be_empty = self.options.framing == Framing::Document && {
            let folder = locate::fixed_folder(path);
            folder.as_os_str().is_empty() || folder.is_dir()
        };
        if !may_be_empty && !self.files.all.iter().any(File::counts) {
            self.troubles.push(locate::nothing(path).to_string());
        }
    }

    pub(super) fn trouble(&mut self, path: &Path, error: &io::Error) {
        let way_out = match error.kind() {
            io::ErrorKind::PermissionDenied => "; check who may read it",
            _ if is_too_many(error) => "; raise the limit of open files",
            _ => "",
        };
        self.troubles.push(format!("`{}` cannot be read: {error}{way_out}", path.display()));
    }

    /// Closes files that are at rest, and those beyond the limit that have not changed for the longest time.
    pub(super) fn close_idle(&mut self, at: Time, intake: &mut dyn Intake) {
        let mut open = Vec::new();
        for (index, file) in self.files.all.iter_mut().enumerate() {
            let idle = file.is_read() && file.held.is_none() && file.at_rest(at);
            file.closed |= idle && file.moved && file.left == 0;
            match file.place {
                Place::Detached if file.closed => (file.place, file.bytes) = (Place::Gone, None),
                Place::Listed if idle => file.bytes = None,
                _ if file.bytes.is_some() => open.push((file.place == Place::Listed, file.changed, index)),
                _ => {}
            }
        }
        open.sort_unstable_by_key(|(listed, changed, _)| (!listed, *changed));
        for (listed, _, index) in open.iter().take(open.len().saturating_sub(OPEN_MAX)) {
            let file = &mut self.files.all[*index];
            file.bytes = None;
            if !listed && file.is_read() && file.left == 0 {
                (file.place, file.closed) = (Place::Gone, true);
            } else if !listed {
                self.lose(*index, intake);
            }
        }
    }
}

/// Whether an error says that too many files are open, in this process or in the system.
pub(super) fn is_too_many(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// What stands in the folder of a path.
fn entries(path: &Path) -> impl Iterator<Item = fs::DirEntry> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::read_dir(folder).into_iter().flatten().flatten()
}

/// A file that was renamed within its folder to what the glob does not match.
fn search(file: &File) -> Option<Bytes> {
    let renamed = entries(&file.path).find(|entry| entry.ino() == file.id.inode)?;
    let mut bytes = Bytes::open(&renamed.path()).ok()?;
    let same = Id::of(&bytes.metadata().ok()?) == file.id && file.mark.confirm(&mut bytes).ok()?.is_some();
    same.then_some(bytes)
}

/// Whether a file with this behind the name of a log is one that was rotated: `.1`, `-20260302.gz`.
fn is_rotation(suffix: &str) -> bool {
    let number = ["gz", "zst", "bz2", "xz"].iter().find_map(|end| suffix.strip_suffix(end)).unwrap_or(suffix);
    number.contains(|c: char| c.is_ascii_digit()) && number.chars().all(|c| c.is_ascii_digit() || ".-_T".contains(c))
}
