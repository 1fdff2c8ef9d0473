//! Which files are there in this round, and where those went that are not.

use super::bytes::Bytes;
use super::files::{File, Id, Place, Stamp};
use super::mark::Mark;
use super::{FILES_MAX, Follower, Halt, OPEN_MAX, SUSPECTED_MAX};
use crate::model::time::Time;
use crate::sources::file::locate;
use crate::sources::file::split::Framing;
use crate::sources::live::{Failure, Intake, Start};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
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
        let (listed, fresh) = self.sight(look.found, at);
        if complete {
            let mut folders = Folders::default();
            let rotated = self.miss(&listed, &mut folders, at);
            for path in rotated.union(&fresh) {
                self.suspect_another(path, &mut folders, intake);
            }
            self.suspect_nothing_there();
        }
        self.relate(at, intake);
        if complete && !self.undecided {
            self.give_up(intake);
        }
        self.files.tidy();
        Ok(complete)
    }

    /// Takes in the files that match, and says at which paths there are new ones.
    fn sight(&mut self, found: Vec<(PathBuf, Metadata)>, at: Time) -> (HashSet<Id>, BTreeSet<PathBuf>) {
        let known = self.known();
        let before = self.looked.unwrap_or(Time::MIN);
        let (mut listed, mut fresh) = (HashSet::new(), BTreeSet::new());
        let mut beyond = 0;
        let mut counted = self.files.all.iter().filter(|f| f.counts()).count();
        for (path, metadata) in found.into_iter().filter(|(_, metadata)| metadata.is_file()) {
            let id = Id::of(&metadata);
            if !listed.insert(id) {
                continue;
            }
            if let Some(index) = known.get(&id).copied().filter(|index| self.trusts(*index, &path, &metadata)) {
                self.recognize(index, path, &metadata, at);
            } else if counted < FILES_MAX {
                counted += 1;
                let name = self.files.name(&path);
                if !self.first {
                    fresh.insert(path.clone());
                }
                let mut file = File::new(name, path, id, before);
                file.seen(&metadata, at);
                if self.first && self.options.start == Start::Latest {
                    file.mute = metadata.len();
                }
                self.files.all.push(file);
            } else {
                beyond += 1;
            }
        }
        if beyond > 0 {
            let path = &self.options.path;
            self.troubles.push(format!(
                "{beyond} files that match `{path}` are not read, since more than {FILES_MAX} do; narrow the path, or \
                 remove old files"
            ));
        }
        (listed, fresh)
    }

    /// Whether a file with a number that is known is the known file. Of one that was done with, the number may have been
    /// given to another: then its text decides, as for any file that is new.
    fn trusts(&mut self, index: usize, path: &Path, metadata: &Metadata) -> bool {
        let before = self.looked.unwrap_or(Time::MIN);
        let file = &mut self.files.all[index];
        let stamp = Stamp::of(metadata);
        let trusted = match self.options.framing {
            Framing::Document | Framing::XmlOrCsv { .. } => file.counts() || file.read == Some(stamp),
            Framing::Lines | Framing::Csv { .. } => {
                let unchanged = file.stamp == stamp || file.read == Some(stamp);
                file.counts() && (file.path == path || unchanged || !file.is_done(before))
            }
        };
        if !trusted {
            (file.id, file.place, file.bytes) = (Id::default(), Place::Gone, None);
        }
        trusted
    }

    /// Takes in a known file.
    fn recognize(&mut self, index: usize, path: PathBuf, metadata: &Metadata, at: Time) {
        let before = self.looked.unwrap_or(Time::MIN);
        let is_document = self.options.framing.is_document();
        let file = &mut self.files.all[index];
        if !file.counts() {
            (file.whole, file.ended) = (before, before);
        }
        file.place = Place::Listed;
        let (renamed, was) = (file.path != path, file.stamp);
        if renamed {
            self.doubt |= !is_document;
            file.moved = file.name != path.display().to_string();
            file.path = path;
        }
        let changed = file.seen(metadata, at);
        if changed && (is_document || file.bytes.as_ref().is_some_and(Bytes::is_packed)) {
            // It was not whole before, since it was still written to, and so it was not visible.
            file.whole = file.whole.max(before);
        }
        if !is_document && file.mark == Mark::START {
            self.recognize_unread(index, renamed, was);
        }
    }

    /// A file of which nothing was read is known by its number and stamp alone.
    fn recognize_unread(&mut self, index: usize, renamed: bool, was: Stamp) {
        let file = &mut self.files.all[index];
        if file.read.is_some_and(|read| read != file.stamp) {
            // Nothing tells whether it is still the text of which nothing was wanted.
            (file.mute, file.decided, file.copy_of) = (0, false, None);
            (file.read, file.closed) = (None, false);
        }
        if file.stamp.size < was.size || (renamed && was.size > 0 && file.stamp != was) {
            self.files.begin_anew(index, self.round);
        } else if renamed {
            let path = file.path.clone();
            let name = self.files.name(&path);
            let file = &mut self.files.all[index];
            (file.name, file.moved) = (name, false);
        }
    }

    fn known(&self) -> HashMap<Id, usize> {
        let with_id = self.files.all.iter().enumerate().filter(|(_, file)| file.id != Id::default());
        with_id.map(|(index, file)| (file.id, index)).collect()
    }

    /// Looks for the files that no longer match; the paths at which those stood that were renamed.
    fn miss(&mut self, listed: &HashSet<Id>, folders: &mut Folders, at: Time) -> BTreeSet<PathBuf> {
        let is_document = self.options.framing.is_document();
        let (mut rotated, looked) = (BTreeSet::new(), self.looked);
        for index in 0..self.files.all.len() {
            let file = &mut self.files.all[index];
            match file.place {
                Place::Listed if !listed.contains(&file.id) => {}
                Place::Detached => {
                    if let Some(Ok(metadata)) = file.bytes.as_ref().map(Bytes::metadata) {
                        file.seen(&metadata, at);
                    }
                    rotated.insert(file.path.clone());
                    continue;
                }
                _ => continue,
            }
            if file.closed {
                (file.place, file.bytes) = (Place::Gone, None);
                continue;
            }
            let done = looked.is_some_and(|looked| file.is_done(looked));
            self.doubt |= !is_document;
            let found = file.bytes.take().or_else(|| if is_document { None } else { folders.find(file) });
            let Some(bytes) = found else {
                file.place = if done { Place::Gone } else { Place::Missing(self.round) };
                continue;
            };
            if let Ok(metadata) = bytes.metadata() {
                file.seen(&metadata, at);
            }
            // Whoever still has it open may write to it for a while.
            (file.place, file.moved, file.changed) = (Place::Detached, true, at);
            file.bytes = Some(bytes);
            rotated.insert(file.path.clone());
        }
        rotated
    }

    /// Of the files that stood at a path one after the other, one may have come and gone while nobody looked: then it
    /// stands beside them, under a name that nobody knows, and was written to after the last one that is known, or
    /// after the last look where none is.
    fn suspect_another(&mut self, path: &Path, folders: &mut Folders, intake: &mut dyn Intake) {
        if self.options.framing.is_document() {
            return;
        }
        let known = self.known();
        let is_there = |file: &File| file.place == Place::Listed && file.path == path;
        let earlier = self.files.all.iter().filter(|file| file.was_first_seen_at(path) && !is_there(file));
        let looked = self.looked.map(|looked| looked.0);
        let Some(last) = earlier.filter_map(File::modified).max().or(looked) else { return };
        let last = self.files.suspected.get(path).map_or(last, |told| last.max(*told));
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let unseen = |there: &PathBuf| {
            let there_name = there.file_name()?.to_string_lossy();
            there_name.strip_prefix(&name).filter(|suffix| is_rotation(suffix))?;
            if there.extension().is_some_and(is_packed_ending) && there.with_extension("").exists() {
                // It is being packed.
                return None;
            }
            let found = fs::metadata(there).ok().filter(Metadata::is_file)?;
            let modified = Stamp::of(&found).modified;
            let is_known = known.get(&Id::of(&found)).is_some_and(|index| {
                let file = &self.files.all[*index];
                file.is_intact() || file.modified() == Some(modified)
            });
            (modified > last && !is_known).then(|| (modified, there.clone()))
        };
        let Some((modified, unseen)) = folders.of(path).values().filter_map(unseen).max() else { return };
        if self.files.suspected.len() >= SUSPECTED_MAX {
            self.files.suspected.clear();
        }
        self.files.suspected.insert(path.to_owned(), modified);
        let (path, unseen) = (path.display(), unseen.display());
        let why = format!(
            "`{path}` was rotated more than once since it was last looked at: nobody has read `{unseen}`; a glob that \
             matches the rotated files as well, such as `{path}*`, loses none"
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
            file.name,
            file.mark.line - 1,
        );
        self.hole(&why, intake);
    }

    /// Where no file is there at all, a path that is written wrongly looks like a quiet system. A folder of documents
    /// may well be empty, if there is one.
    fn suspect_nothing_there(&mut self) {
        let path = &self.options.path;
        let may_be_empty = self.options.framing.is_document() && {
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

/// What stands in folders, by inode, to find what was renamed there to what the glob does not match. Each is read once
/// in a look.
#[derive(Default)]
struct Folders(HashMap<PathBuf, BTreeMap<u64, PathBuf>>);

impl Folders {
    /// The folder in which a path lies.
    fn of(&mut self, path: &Path) -> &BTreeMap<u64, PathBuf> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let read = || fs::read_dir(folder).into_iter().flatten().flatten().map(|e| (e.ino(), e.path())).collect();
        self.0.entry(folder.to_owned()).or_insert_with(read)
    }

    fn find(&mut self, file: &mut File) -> Option<Bytes> {
        let mut bytes = Bytes::open(self.of(&file.path).get(&file.id.inode)?).ok()?;
        file.begins_right = false;
        let same = Id::of(&bytes.metadata().ok()?) == file.id && file.confirm(&mut bytes).ok()?.is_some();
        same.then_some(bytes)
    }
}

/// Whether a file with this behind the name of a log is one that was rotated: `.1`, `-20260302.gz`.
fn is_rotation(suffix: &str) -> bool {
    let number = suffix.rsplit_once('.').filter(|(_, end)| is_packed_ending(OsStr::new(end)));
    let number = number.map_or(suffix, |(number, _)| number);
    number.contains(|c: char| c.is_ascii_digit()) && number.chars().all(|c| c.is_ascii_digit() || ".-_T".contains(c))
}

fn is_packed_ending(end: &OsStr) -> bool {
    ["gz", "zst", "bz2", "xz"].iter().any(|known| end == *known)
}
