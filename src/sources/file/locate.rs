//! Which files a path in a configuration means.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Files of one source.
const FILES_MAX: usize = 1_000_000;

/// One file of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Where it is.
    pub path: PathBuf,
    /// How it is shown to people.
    pub name: String,
    /// Its size; `None` for what cannot be read twice, such as a pipe.
    pub size: Option<u64>,
    /// When it was last written, as nanoseconds since 1970; `None` for what cannot be read twice.
    pub modified: Option<i64>,
}

/// Why a path gives no files.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// There is no such file.
    #[error("`{path}` does not exist; {nearest}")]
    Missing {
        /// The path.
        path: String,
        /// The nearest folder that exists, in words.
        nearest: String,
    },
    /// No file matches.
    #[error("no file matches `{pattern}`; {nearest}")]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// The nearest folder that exists, in words.
        nearest: String,
    },
    /// It is a folder.
    #[error("`{path}` is a folder, a recording is one or several files; name them, for example `{path}/*{extension}`")]
    Folder {
        /// The path.
        path: String,
        /// The ending of the files in it, with its dot, where it has any.
        extension: String,
    },
    /// The pattern is not one.
    #[error("`{pattern}` is not a pattern: {message}; `*` stands for a part of a name, `**` for any folders")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        message: String,
    },
    /// Too many match.
    #[error("more than {FILES_MAX} files match `{pattern}`; a narrower pattern, or several sources, is the way out")]
    TooMany {
        /// The pattern.
        pattern: String,
    },
    /// It is there and cannot be looked at.
    #[error("`{path}` cannot be read: {error}; check who may read it")]
    Unreadable {
        /// The path.
        path: String,
        /// What the system says.
        error: io::Error,
    },
}

/// What a path or a glob matches at one moment; folders that a glob matches are passed over.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Sorted by path.
    pub(super) found: Vec<(PathBuf, fs::Metadata)>,
    pub(super) unreadable: Vec<(PathBuf, io::Error)>,
}

/// Looks for what `path`, a path or a glob, means; to find nothing is no error here.
pub(super) fn look(path: &str) -> Result<Look, LocateError> {
    let literal = Path::new(path);
    let mut look = Look::default();
    match fs::metadata(literal) {
        Ok(found) if found.is_dir() => {
            return Err(LocateError::Folder { path: trimmed(path), extension: common_extension(literal) });
        }
        Ok(found) => look.found.push((literal.to_owned(), found)),
        Err(_) if is_pattern(path) => return matching(path, FILES_MAX),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => look.unreadable.push((literal.to_owned(), error)),
    }
    Ok(look)
}

/// What a glob matches, if that is no more than so many files.
fn matching(pattern: &str, files_max: usize) -> Result<Look, LocateError> {
    let entries = glob::glob(pattern)
        .map_err(|e| LocateError::BadPattern { pattern: pattern.to_owned(), message: e.to_string() })?;
    let mut look = Look::default();
    for entry in entries {
        match entry.map(|path| (fs::metadata(&path), path)) {
            Ok((Ok(found), _)) if found.is_dir() => {}
            Ok((Ok(_), _)) if look.found.len() == files_max => {
                return Err(LocateError::TooMany { pattern: pattern.to_owned() });
            }
            Ok((Ok(found), path)) => look.found.push((path, found)),
            Ok((Err(error), path)) => look.unreadable.push((path, error)),
            Err(error) => look.unreadable.push((error.path().to_owned(), error.into())),
        }
    }
    look.found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(look)
}

/// The files that `path`, a path or a glob, means; sorted by name. Folders that a glob matches are passed over.
pub fn locate(path: &str) -> Result<Vec<Located>, LocateError> {
    let look = look(path)?;
    if let Some((path, error)) = look.unreadable.into_iter().next() {
        return Err(LocateError::Unreadable { path: path.display().to_string(), error });
    }
    if look.found.is_empty() {
        return Err(nothing(path));
    }
    Ok(look.found.into_iter().map(|(path, found)| located(path, &found)).collect())
}

/// That nothing is there, with what would help to find out why.
pub(super) fn nothing(path: &str) -> LocateError {
    if !is_pattern(path) {
        return missing(path);
    }
    LocateError::NoMatch { pattern: path.to_owned(), nearest: nearest(fixed_folder(path)) }
}

/// The folder in which a pattern begins to be one.
pub(super) fn fixed_folder(pattern: &str) -> &Path {
    let fixed = pattern.split(['*', '?', '[']).next().unwrap_or_default();
    Path::new(fixed.rsplit_once('/').map_or("", |(folder, _)| folder))
}

fn located(path: PathBuf, found: &fs::Metadata) -> Located {
    let name = tidy(&path).display().to_string();
    let modified = found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let nanos = modified.and_then(|since| i64::try_from(since.as_nanos()).ok());
    let plain = found.is_file();
    Located { path, name, size: plain.then_some(found.len()), modified: nanos.filter(|_| plain) }
}

/// The path without its detours (`flows/../a.jsonl` is `a.jsonl`), where it leads to the same file without them: beyond
/// a link to another folder it does not.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidy.components().next_back(), Some(Component::Normal(_))) => {
                tidy.pop();
            }
            part => tidy.push(part),
        }
    }
    let same = tidy == path || fs::canonicalize(&tidy).is_ok_and(|t| fs::canonicalize(path).is_ok_and(|p| p == t));
    if same { tidy } else { path.to_owned() }
}

fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

fn trimmed(path: &str) -> String {
    path.trim_end_matches('/').to_owned()
}

fn missing(path: &str) -> LocateError {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    LocateError::Missing { path: path.to_owned(), nearest: nearest(folder) }
}

/// "The nearest folder that exists is …", with what is in it, so that a slip of the pen is seen at once.
fn nearest(folder: &Path) -> String {
    const SHOWN_MAX: usize = 5;
    let here = |p: &Path| if p.as_os_str().is_empty() { PathBuf::from(".") } else { p.to_owned() };
    let Some(existing) = folder.ancestors().map(here).find(|p| p.is_dir()) else {
        return "no folder on its way exists".to_owned();
    };
    let mut names: Vec<String> =
        fs::read_dir(&existing).into_iter().flatten().flatten().map(|e| e.file_name().display().to_string()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    let more = names.len().saturating_sub(SHOWN_MAX);
    names.truncate(SHOWN_MAX);
    let content = match (names.is_empty(), more) {
        (true, _) => "is empty".to_owned(),
        (false, 0) => format!("holds {}", names.join(", ")),
        (false, more) => format!("holds {} and {more} more", names.join(", ")),
    };
    format!("the nearest folder that exists is `{}`, it {content}", existing.display())
}

/// The ending that the first file of a folder has, for an example of a pattern.
fn common_extension(folder: &Path) -> String {
    let mut names: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    names.sort();
    let extension = names.iter().filter(|p| p.is_file()).find_map(|p| p.extension());
    extension.map(|e| format!(".{}", e.display())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        folder
    }

    fn names(folder: &tempfile::TempDir, path: &str) -> Result<Vec<String>, String> {
        let root = format!("{}/", folder.path().display());
        match locate(&format!("{root}{path}")) {
            Ok(files) => Ok(files.into_iter().map(|f| f.name.replace(&root, "")).collect()),
            Err(error) => Err(error.to_string().replace(&root, "").replace(root.trim_end_matches('/'), "ROOT")),
        }
    }

    #[test]
    fn a_glob_is_one_source_of_sorted_files() {
        let folder = folder(&["logs/b.csv", "logs/a.csv", "logs/old.csv/c.csv", "logs/readme"]);
        assert_eq!(names(&folder, "logs/*.csv").unwrap(), ["logs/a.csv", "logs/b.csv"]);
        assert_eq!(names(&folder, "logs/a.csv").unwrap(), ["logs/a.csv"]);
        assert_eq!(names(&folder, "**/c.csv").unwrap(), ["logs/old.csv/c.csv"]);
    }

    #[test]
    fn more_files_than_the_limit_are_an_error() {
        let folder = folder(&["a.csv", "b.csv"]);
        let pattern = format!("{}/*.csv", folder.path().display());
        assert_eq!(matching(&pattern, 2).unwrap().found.len(), 2);
        let error = matching(&pattern, 1).unwrap_err().to_string();
        assert!(error.contains("a narrower pattern"), "{error}");
    }

    #[test]
    fn a_name_is_shown_without_its_detours() {
        let folder = folder(&["flows/f.yaml", "logs/a.csv", "far/away/b.csv", "far/c.csv"]);
        assert_eq!(names(&folder, "flows/../logs/./a.csv").unwrap(), ["logs/a.csv"]);
        assert_eq!(names(&folder, "flows/../logs/../logs/*.csv").unwrap(), ["logs/a.csv"]);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(folder.path().join("far/away"), folder.path().join("link")).unwrap();
            assert_eq!(names(&folder, "link/../c.csv").unwrap(), ["link/../c.csv"], "it is far/c.csv");
        }
    }

    #[test]
    fn a_name_with_brackets_that_exists_is_itself() {
        let folder = folder(&["day[1].jsonl", "day1.jsonl"]);
        assert_eq!(names(&folder, "day[1].jsonl").unwrap(), ["day[1].jsonl"]);
        assert_eq!(names(&folder, "day[1-3].jsonl").unwrap(), ["day1.jsonl"]);
    }

    #[test]
    fn what_is_not_there_is_said_with_the_way_out() {
        let folder = folder(&["logs/a.csv"]);
        for (path, says) in [
            ("logs/b.csv", "`logs/b.csv` does not exist; the nearest folder that exists is `logs`, it holds a.csv"),
            ("log/x/b.csv", "`log/x/b.csv` does not exist; the nearest folder that exists is `ROOT`, it holds logs"),
            ("logs/*.gz", "no file matches `logs/*.gz`; the nearest folder that exists is `logs`, it holds a.csv"),
            ("logs/", "`logs` is a folder, a recording is one or several files; name them, for example `logs/*.csv`"),
        ] {
            assert_eq!(names(&folder, path).unwrap_err(), says);
        }
        assert!(names(&folder, "logs/***").unwrap_err().contains("is not a pattern"));
    }
}
