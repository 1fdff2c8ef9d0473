//! The cursor: what must be known of the files to go on exactly where a delivery ended.
//!
//! ```text
//! TLfile 1 │ framing, counts │ file, file, …, sorted by path, each path told by what differs from the one before
//! ```

use super::Options;
use super::files::{File, Files, Id, Place, Stamp};
use super::mark::Mark;
use crate::model::time::Time;
use crate::sources::file::split::Framing;
use crate::sources::live::Failure;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What every cursor of this kind begins with, up to its version.
const KIND: &[u8] = b"TLfile";
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Head {
    framing: u16,
    named: u64,
    forgotten: u64,
    suspected: Vec<(Vec<u8>, i64)>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    /// So many bytes are those of the path before.
    shared: u32,
    path: Vec<u8>,
    /// Where it is not the path.
    name: Option<String>,
    id: Id,
    mark: Mark,
    mute: u64,
    flags: u8,
    read: Option<Stamp>,
}

const PASSING: u8 = 1;
const MOVED: u8 = 2;
const CLOSED: u8 = 4;
const GONE: u8 = 8;

fn framing_code(framing: Framing) -> u16 {
    match framing {
        Framing::Lines => 0,
        Framing::Document => 1,
        Framing::Csv { delimiter } => 2 + u16::from(delimiter),
        Framing::XmlOrCsv { delimiter } => 258 + u16::from(delimiter),
    }
}

/// What [`decode`] goes on from.
pub(super) fn encode(files: &Files, options: &Options) -> Vec<u8> {
    let mut order: Vec<&File> = files.all.iter().collect();
    order.sort_by(|a, b| (&a.path, &a.name).cmp(&(&b.path, &b.name)));
    let suspected = files.suspected.iter().map(|(path, at)| (path.as_os_str().as_bytes().to_vec(), *at)).collect();
    let (framing, named, forgotten) = (framing_code(options.framing), files.named, files.forgotten);
    let head = Head { framing, named, forgotten, suspected };
    let mut bytes = KIND.to_vec();
    bytes.push(VERSION);
    append(&mut bytes, &(head, order.len() as u32));
    let mut before: &[u8] = b"";
    for file in order {
        let path = file.path.as_os_str().as_bytes();
        let shared = path.iter().zip(before).take_while(|(a, b)| a == b).count();
        let named_after = file.name.as_bytes() == path;
        append(
            &mut bytes,
            &Entry {
                shared: shared as u32,
                path: path[shared..].to_vec(),
                name: (!named_after).then(|| file.name.clone()),
                id: file.id,
                mark: file.mark,
                mute: if file.mute > file.mark.offset { file.mute } else { 0 },
                flags: flags(file),
                // What is left of it is read again.
                read: file.read.filter(|_| file.left == 0 && file.held.is_none()),
            },
        );
        before = path;
    }
    bytes
}

/// Writing to memory does not fail.
fn append(bytes: &mut Vec<u8>, what: &impl Serialize) {
    if let Ok(more) = postcard::to_stdvec(what) {
        bytes.extend_from_slice(&more);
    }
}

fn flags(file: &File) -> u8 {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    flag(file.passing, PASSING)
        | flag(file.moved, MOVED)
        | flag(file.closed, CLOSED)
        | flag(file.place == Place::Gone, GONE)
}

/// What was known at a delivery.
pub(super) fn decode(cursor: &[u8], options: &Options) -> Result<Files, Failure> {
    let foreign = |what: &str| {
        Failure(format!(
            "the place up to which `{}` was read cannot be used: {what}. Give the source another name in the \
             configuration, and it begins as `start` says",
            options.path
        ))
    };
    let rest = cursor.strip_prefix(KIND).ok_or_else(|| foreign("it belongs to a source of another type"))?;
    let Some((&VERSION, rest)) = rest.split_first() else {
        return Err(foreign("another version of this program wrote it"));
    };
    let broken = |_| foreign("it is damaged");
    let ((head, count), mut rest) = postcard::take_from_bytes::<(Head, u32)>(rest).map_err(broken)?;
    if head.framing != framing_code(options.framing) {
        return Err(foreign("its files were cut into records in another way, see `format`"));
    }
    let suspected = head.suspected.into_iter().map(|(path, at)| (PathBuf::from(OsStr::from_bytes(&path)), at));
    let mut files = Files { named: head.named, forgotten: head.forgotten, ..Files::default() };
    files.suspected = suspected.collect();
    let mut path: Vec<u8> = Vec::new();
    for _ in 0..count {
        let (entry, behind) = postcard::take_from_bytes::<Entry>(rest).map_err(broken)?;
        rest = behind;
        path.truncate(entry.shared as usize);
        path.extend_from_slice(&entry.path);
        let place = PathBuf::from(OsStr::from_bytes(&path));
        let name = entry.name.unwrap_or_else(|| place.display().to_string());
        files.names.insert(name.clone());
        let mut file = File::new(name, place, entry.id, Time::MIN);
        (file.mark, file.mute, file.read) = (entry.mark, entry.mute, entry.read);
        file.passing = entry.flags & PASSING != 0;
        file.moved = entry.flags & MOVED != 0;
        file.closed = entry.flags & CLOSED != 0;
        if entry.flags & GONE != 0 {
            file.place = Place::Gone;
        }
        files.all.push(file);
    }
    if rest.is_empty() { Ok(files) } else { Err(foreign("it is damaged")) }
}
