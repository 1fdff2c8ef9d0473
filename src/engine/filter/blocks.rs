//! Space for runs of many sizes, without holes.
//!
//! A page of 4 KiB holds blocks of one size: 1, 2, 3 … or 64 of them. The blocks of a size fill their
//! pages from the front; where one is given back, the last of its size moves into its place. So all
//! pages but one of each size are full, and an empty page serves any size next.

use serde::{Deserialize, Serialize};

/// The words of a page, and of the largest block.
pub const BLOCK_WORDS_MAX: usize = 1 << PAGE_BITS;
const PAGE_BITS: u32 = 9;
/// The smallest blocks: so many to a page.
const PER_PAGE_MAX: usize = 64;

/// Pages of blocks. The address of a block is that of its first word, counted over all pages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Blocks {
    pages: Vec<Page>,
    empty: Vec<u32>,
    /// By the number of blocks in a page.
    sizes: Vec<Size>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Page {
    #[serde(with = "crate::engine::plain")]
    words: Box<[u64]>,
    per_page: u16,
    block_words: u16,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Size {
    pages: Vec<u32>,
    /// Blocks in the last of the pages.
    in_last: usize,
}

impl Default for Blocks {
    fn default() -> Self {
        Blocks { pages: Vec::new(), empty: Vec::new(), sizes: vec![Size::default(); PER_PAGE_MAX + 1] }
    }
}

#[inline]
fn parts(address: u32) -> (usize, usize) {
    ((address >> PAGE_BITS) as usize, address as usize & (BLOCK_WORDS_MAX - 1))
}

impl Blocks {
    /// The words of a block.
    #[inline]
    pub fn get(&self, address: u32) -> &[u64] {
        let (page, at) = parts(address);
        let page = &self.pages[page];
        &page.words[at..at + usize::from(page.block_words)]
    }

    /// The words of a block, to be changed.
    #[inline]
    pub fn get_mut(&mut self, address: u32) -> &mut [u64] {
        let (page, at) = parts(address);
        let page = &mut self.pages[page];
        &mut page.words[at..at + usize::from(page.block_words)]
    }

    /// Two blocks of different sizes, the second to be changed.
    pub fn pair(&mut self, from: u32, to: u32) -> (&[u64], &mut [u64]) {
        let ((from_page, from_at), (to_page, to_at)) = (parts(from), parts(to));
        let [from, to] =
            self.pages.get_disjoint_mut([from_page, to_page]).expect("blocks of two sizes stand in two pages");
        (
            &from.words[from_at..from_at + usize::from(from.block_words)],
            &mut to.words[to_at..to_at + usize::from(to.block_words)],
        )
    }

    /// A block of at least `words` words, and at most [`BLOCK_WORDS_MAX`]; what stands in it is of no
    /// meaning.
    pub fn allocate(&mut self, words: usize) -> u32 {
        let per_page = (BLOCK_WORDS_MAX / words.max(1)).clamp(1, PER_PAGE_MAX);
        let size = &self.sizes[per_page];
        let page = match size.pages.last() {
            Some(page) if size.in_last < per_page => *page,
            _ => self.open_page(per_page),
        };
        let size = &mut self.sizes[per_page];
        let at = size.in_last * (BLOCK_WORDS_MAX / per_page);
        size.in_last += 1;
        page << PAGE_BITS | at as u32
    }

    /// Gives a block back. True where another block has moved into its place.
    pub fn release(&mut self, address: u32) -> bool {
        let (page, at) = parts(address);
        let per_page = usize::from(self.pages[page].per_page);
        let block_words = usize::from(self.pages[page].block_words);
        let size = &mut self.sizes[per_page];
        let last_page = *size.pages.last().expect("a block that is given back stands in a page") as usize;
        size.in_last -= 1;
        let last_at = size.in_last * block_words;
        if size.in_last == 0 {
            size.pages.pop();
            size.in_last = if size.pages.is_empty() { 0 } else { per_page };
            self.empty.push(last_page as u32);
        }
        if last_page == page {
            self.pages[page].words.copy_within(last_at..last_at + block_words, at);
            return last_at != at;
        }
        let [hole, last] = self.pages.get_disjoint_mut([page, last_page]).expect("the pages differ");
        hole.words[at..at + block_words].copy_from_slice(&last.words[last_at..last_at + block_words]);
        true
    }

    fn open_page(&mut self, per_page: usize) -> u32 {
        let number = self.empty.pop().unwrap_or_else(|| {
            self.pages.push(Page { words: vec![0; BLOCK_WORDS_MAX].into(), per_page: 0, block_words: 0 });
            self.pages.len() as u32 - 1
        });
        let page = &mut self.pages[number as usize];
        page.per_page = per_page as u16;
        page.block_words = (BLOCK_WORDS_MAX / per_page) as u16;
        let size = &mut self.sizes[per_page];
        size.pages.push(number);
        size.in_last = 0;
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_filled_by_the_last_of_its_size() {
        let mut blocks = Blocks::default();
        let addresses: Vec<u32> = (0..70).map(|_| blocks.allocate(16)).collect();
        for (n, address) in addresses.iter().enumerate() {
            blocks.get_mut(*address).fill(n as u64);
        }
        assert!(blocks.release(addresses[3]));
        assert_eq!(blocks.get(addresses[3]), [69; 16]);
        assert!(!blocks.release(addresses[68]));
        (64..68).for_each(|n| assert!(blocks.release(addresses[n - 60]), "the last page is cleared"));
        assert_eq!(blocks.empty.len(), 1);
        let other = blocks.allocate(300);
        assert_eq!(blocks.get(other).len(), 512, "the empty page serves another size");
        assert_eq!(blocks.pages.len(), 3);
    }
}
