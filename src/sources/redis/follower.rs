//! Following, from one connection to its loss.
//!
//! ```text
//! listen ─▶ events ─▶ values of their keys ─▶ TIME ─▶ records ─▶ caught up at an earlier TIME, whose events are all taken
//!           └─ streams: where is the end? pages up to it ─────▶ caught up at the TIME before the question
//! ```

use super::super::live::{Intake, Start};
use super::super::waiting::{Halt, Waiter};
use super::cursor::{self, State};
use super::events::{After, Event};
use super::fetch::{self, Found, Held};
use super::glob;
use super::node::Node;
use super::options::{Options, Pattern};
use super::place::{Place, Watch};
use super::scan::Scan;
use super::servers;
use super::streams::{Asked, Stream};
use super::told::{self, Told};
use crate::model::time::Time;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked what the servers have pushed.
const LISTEN: Duration = Duration::from_millis(20);
/// How often a server is asked for its time, for the ends of streams, and for the values of keys where many change: what
/// comes after a quiet moment is looked at at once.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// So many events are taken at a time.
const BATCH: usize = 1_000;
/// The values of so many keys are fetched at a time.
const FETCH: usize = 100;
/// What has been handed over is delivered after so long.
const DELIVER_AFTER: Duration = Duration::from_millis(50);

/// The state of following.
pub(super) struct Follower {
    options: Arc<Options>,
    waiter: Waiter,
    nodes: Vec<Node>,
    watch: Watch,
    streams: Vec<Stream>,
    scan: Option<Scan>,
    state: State,
    asked: Option<Instant>,
    delivered: Instant,
    /// Something was handed over since.
    unsent: bool,
    proven: Option<Time>,
    /// Something was lost before this: no earlier proof ends that hole.
    whole_from: Option<Time>,
    /// The watch is meant to go back further than what is told only once was heard.
    unheard: bool,
}

impl Follower {
    /// Connects, listens, and says what is lost since the cursor.
    pub fn start(options: &Arc<Options>, mut state: State, intake: &mut dyn Intake) -> Result<Follower, Halt> {
        let waiter = Waiter::new()?;
        let Place { mut nodes, watch } = Place::find(options, &waiter, intake)?;
        let unheard = options.listens() && !state.listened && options.start != Start::Latest;
        if options.listens() {
            for (index, node) in nodes.iter_mut().enumerate() {
                // What is published in a cluster is heard on each of its servers.
                node.listen(options, index == 0, &waiter, intake)?;
            }
            if state.listened {
                let why = "what was done to keys, or said on channels, while nobody listened is told to nobody";
                state.spoiled = Some(why.into());
            }
            state.listened = true;
        }
        if let (true, Start::At(time)) = (unheard, options.start) {
            intake.caught_up(time);
            intake.deliver(&cursor::encode(&state))?;
        }
        if unheard {
            let why = "what was done to keys, or said on channels, before the source listened is told to nobody";
            state.spoiled = Some(why.into());
        }
        state.spoiled.iter().for_each(|why| intake.hole(why));
        let streams = options.streams.iter().map(|key| Stream::new(key.clone(), state.streams.get(key).cloned()));
        let scan =
            (options.start == Start::Beginning && !options.keys.is_empty() && !state.scanned).then(Scan::default);
        let assumed = nodes.iter().find_map(|node| node.assumed.clone());
        intake.assumed(assumed.as_deref());
        Ok(Follower {
            options: Arc::clone(options),
            waiter,
            nodes,
            watch,
            streams: streams.collect(),
            scan,
            state,
            asked: None,
            delivered: Instant::now(),
            unsent: false,
            proven: None,
            whole_from: None,
            unheard,
        })
    }

    /// Follows until the daemon stops or a connection is lost.
    pub fn follow(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        let mut behind = true;
        loop {
            intake.pause(Duration::ZERO)?;
            let listen = if behind { Duration::ZERO } else { LISTEN };
            // Nobody waits for what is pushed: the server would pay for waking us at each event.
            intake.pause(listen)?;
            self.waiter.glance();
            let due = self.asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY);
            behind = false;
            for node in 0..self.nodes.len() {
                behind |= self.events(node, due, intake)?;
            }
            behind |= self.read_streams(due, intake)?;
            if due {
                self.asked = Some(Instant::now());
                self.watch.look(&self.options, &mut self.nodes, &self.waiter, intake)?;
            }
            self.scan(intake)?;
            self.deliver(intake)?;
        }
    }

    /// Takes what a server has pushed; whether more of it waits.
    fn events(&mut self, index: usize, due: bool, intake: &mut dyn Intake) -> Result<bool, Halt> {
        if !due && !self.nodes[index].is_rested(ASK_EVERY) {
            return Ok(false);
        }
        let events = self.nodes[index].take(BATCH)?;
        if events.is_empty() && !due {
            return Ok(false);
        }
        let in_cluster = self.watch.is_cluster();
        let wanted = told::wanted(events.iter().map(|pushed| &pushed.event), in_cluster);
        let held = self.fetch(index, wanted, intake)?;
        let answer = self.nodes[index].look(&self.options, &self.waiter, intake)?;
        let mut last: HashMap<&[u8], usize> = HashMap::new();
        for (at, pushed) in events.iter().enumerate() {
            if let Event::Key { key, .. } = &pushed.event {
                last.insert(key, at);
            }
        }
        let (keys, channels) = (self.keys_part(index), "__channels__".to_owned());
        for (place, pushed) in events.iter().enumerate() {
            let at = self.nodes[index].link.stamp(pushed, answer.at);
            match &pushed.event {
                Event::Message { of, channel, text } => {
                    let message = (*of, &channel[..], &text[..]);
                    told::message(&self.options, message, (&channels, at), &mut self.state.offsets, intake);
                }
                Event::Key { of, key, what } => {
                    let found = held.get(key);
                    let held = found.map_or(&Held::Gone, |found| &found.held);
                    let moved = what == "del" && found.is_some_and(|found| found.has_moved);
                    let is_newer = last.get(&key[..]) != Some(&place);
                    let told = Told { part: &keys, at, of: *of, key, what: Some(what), held, is_newer };
                    // A key that goes to another server is deleted here, and restored there.
                    if !moved {
                        told.hand_over(&self.options, &mut self.state.offsets, intake);
                    }
                }
            }
        }
        self.unsent |= !events.is_empty();
        self.nodes[index].handled(events.len(), &answer);
        Ok(events.len() == BATCH)
    }

    /// The values of keys, some at a time.
    fn fetch(
        &mut self,
        index: usize,
        wanted: HashMap<Vec<u8>, After>,
        intake: &mut dyn Intake,
    ) -> Result<HashMap<Vec<u8>, Found>, Halt> {
        let mut wanted: Vec<_> = wanted.into_iter().filter(|(_, after)| *after != After::Gone).collect();
        let mut held = HashMap::with_capacity(wanted.len());
        while !wanted.is_empty() {
            let some = wanted.split_off(wanted.len().saturating_sub(FETCH));
            held.extend(fetch::fetch(&mut self.nodes, index, some, &self.waiter, intake)?);
        }
        Ok(held)
    }

    /// The name of the part of a server's keys.
    fn keys_part(&self, index: usize) -> String {
        let database = self.options.database();
        match self.watch.is_cluster() {
            true => format!("__keyspace@{database}__/{}", self.nodes[index].link.address),
            false => format!("__keyspace@{database}__"),
        }
    }

    /// Asks for the ends of streams, or reads on; whether there is more to be read.
    fn read_streams(&mut self, due: bool, intake: &mut dyn Intake) -> Result<bool, Halt> {
        let mut behind = false;
        for node in &mut self.nodes {
            let here = |stream: &Stream| node.owns(servers::slot(stream.key.as_bytes()));
            let mut pipeline = redis::pipe();
            let mut streams: Vec<&mut Stream> =
                self.streams.iter_mut().filter(|stream| (due || stream.is_behind()) && here(stream)).collect();
            streams.iter().for_each(|stream| stream.ask(&mut pipeline));
            if streams.is_empty() {
                continue;
            }
            let answer = node.link.ask_at(&pipeline, &self.waiter, intake)?;
            let (at, start) = (answer.at, self.options.start);
            let (address, server, beside_heard) = (&*node.link.address, &*node.life, self.unheard);
            let asked = Asked { at, address, server, start, beside_heard, texts: self.options.texts };
            for (stream, value) in streams.iter_mut().zip(answer.values) {
                self.unsent |= stream.is_behind();
                stream.take(value, &asked, intake)?;
                behind |= stream.is_behind();
                if let Some((time, why)) = stream.begins.take() {
                    intake.caught_up(time);
                    intake.deliver(&cursor::encode(&self.state))?;
                    stream.lost.extend(why);
                }
                for why in stream.lost.drain(..) {
                    intake.hole(&why);
                    self.state.spoiled = Some(why);
                    self.whole_from = self.whole_from.max(Some(at));
                }
            }
        }
        Ok(behind)
    }

    /// The next page of what was there at the beginning.
    fn scan(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        let Some(scan) = &mut self.scan else { return Ok(()) };
        let Some((index, keys)) = scan.next(&mut self.nodes, &self.options, &self.waiter, intake)? else {
            self.scan = None;
            self.state.scanned = true;
            return Ok(());
        };
        let wanted = keys.iter().map(|key| (key.clone(), After::Unknown)).collect();
        let held = self.fetch(index, wanted, intake)?;
        let answer = self.nodes[index].look(&self.options, &self.waiter, intake)?;
        self.nodes[index].handled(0, &answer);
        let part = self.keys_part(index);
        for (key, held) in held
            .iter()
            .map(|(key, found)| (key, &found.held))
            .filter(|(_, held)| !matches!(held, Held::Gone | Held::Elsewhere))
        {
            let matches = |keys: &Pattern| glob::matches(keys.glob.as_bytes(), key);
            let Some(of) = self.options.keys.iter().position(matches) else { continue };
            let told = Told { part: &part, at: answer.at, of, key, what: None, held, is_newer: false };
            told.hand_over(&self.options, &mut self.state.offsets, intake);
            self.unsent = true;
        }
        Ok(())
    }

    /// Delivers what was handed over, and says what is proven by it.
    fn deliver(&mut self, intake: &mut dyn Intake) -> Result<(), Halt> {
        let proven = self.proof();
        if proven > self.proven
            && proven >= self.whole_from
            && let Some(at) = proven
        {
            intake.caught_up(at);
            self.proven = proven;
            self.state.spoiled = None;
        } else if !self.unsent || self.delivered.elapsed() < DELIVER_AFTER {
            return Ok(());
        }
        for stream in &self.streams {
            if let Some(position) = &stream.position {
                self.state.streams.insert(stream.key.clone(), position.clone());
            }
        }
        intake.deliver(&cursor::encode(&self.state))?;
        (self.unsent, self.delivered) = (false, Instant::now());
        Ok(())
    }

    /// Up to when everything has been handed over, whatever it is and wherever it comes from.
    fn proof(&self) -> Option<Time> {
        if self.scan.is_some() {
            return None;
        }
        let keys = self.nodes.iter().filter(|_| self.options.listens()).map(Node::proven);
        keys.chain(self.streams.iter().map(|stream| stream.proven)).min().flatten()
    }
}
