//! Bytes on their way to a file, in memory as they will stand on its pages.
//!
//! ```text
//! file     … │            ▒▒▒▒│▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒│▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒│▒▒▒▒▒           │
//! memory     │            ▒▒▒▒│▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒│▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒│▒▒▒▒▒           │
//!                         └ offset                                  └ end
//! ```
//!
//! So all but its ends can go to the disk without the system's copying it into its cache.

use std::ops::Range;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

/// Bytes of a page: what disks and file systems ask direct access to be aligned to, at most.
pub(super) const PAGE_BYTES: usize = 4 << 10;

#[derive(Clone, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(4096))]
struct Page([u8; PAGE_BYTES]);

/// A run of bytes that stands, or will stand, somewhere in a file.
#[derive(Clone, Default)]
pub(super) struct Extent {
    /// Where in the file.
    offset: u64,
    /// The first one begins where the file's page does. There may be more than are in use.
    pages: Vec<Page>,
    length: usize,
}

impl Extent {
    /// Begins anew, with nothing, elsewhere.
    pub(super) fn begin(&mut self, offset: u64) {
        self.offset = offset;
        self.length = 0;
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.grow(bytes.len()).copy_from_slice(bytes);
    }

    /// Grows by so many bytes, which are to be written.
    pub(super) fn grow(&mut self, bytes: usize) -> &mut [u8] {
        self.reserve(bytes);
        let place = self.place(self.length..self.length + bytes);
        self.length += bytes;
        &mut self.pages.as_mut_bytes()[place]
    }

    /// Makes room for so many bytes more.
    pub(super) fn reserve(&mut self, bytes: usize) {
        let pages = self.place(0..self.length + bytes).end.div_ceil(PAGE_BYTES);
        if pages > self.pages.len() {
            self.pages.resize(pages, Page::new_zeroed());
        }
    }

    /// Where it begins in the file.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where it ends in the file.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.length as u64
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.pages.as_bytes()[self.place(0..self.length)]
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        let place = self.place(0..self.length);
        &mut self.pages.as_mut_bytes()[place]
    }

    /// Where in the pages a range of the bytes is.
    fn place(&self, range: Range<usize>) -> Range<usize> {
        let before = self.offset as usize % PAGE_BYTES;
        before + range.start..before + range.end
    }
}
