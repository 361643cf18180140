//! Tells what is in the outbox of the state to its receivers, each from where it has come to.
//!
//! In: rows of the outbox, read on a connection of its own. Out: the records to each receiver, in order, at least once, each time under
//! the same id; and how far each has come, to whoever writes the state. A receiver that refuses is asked again after [`PAUSE`], and is
//! not in the way of the others.
//!
//! The steps O1 to O4 stand in docs/SPOOL.md, "The outbox".

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::Dispatch;
use tracing::span::{Attributes, Id, Record as SpanRecord};

use super::logging;
use log::events;
use log::message::MessageEvent;
use log::record::Record;
use mail::queue_id::QueueId;
use state::{Cursor, State, Told};

/// Events that are read together; one transaction may have more.
const EVENTS: usize = 500;
/// Between two attempts of a receiver that refuses.
const PAUSE: Duration = Duration::from_secs(5);
/// Between two acknowledgements.
const ACKNOWLEDGE: Duration = Duration::from_secs(1);

/// Writes how far the receivers have come, some time soon.
pub type Acknowledge = Box<dyn Fn(Vec<Cursor>) + Send>;

/// The outbox of a running daemon.
pub struct Source {
    /// The database.
    pub path: PathBuf,
    /// Where receivers acknowledge.
    pub acknowledge: Acknowledge,
}

/// One event of the outbox.
pub(crate) struct Kept {
    /// Its transaction.
    seq: i64,
    id: QueueId,
    event: MessageEvent,
    /// As receivers get it.
    record: Record,
}

impl Kept {
    /// Writes its line of the log.
    pub(crate) fn log(&self) {
        logging::without_feed(|| self.event.log(self.id));
    }

    /// Its transaction, by its number and time.
    pub(crate) fn transaction(&self) -> (i64, i64) {
        (self.seq, self.record.at)
    }

    /// As receivers get it.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }
}

/// Gets events, and says whether it has them.
pub(crate) trait Receiver {
    /// Its name in the table of receivers.
    fn name(&self) -> &'static str;
    /// Takes all of them, or none.
    fn take(&mut self, events: &[&Kept]) -> bool;
    /// The last transaction that it has, by its number and time, if it keeps that together with what it took.
    fn reached(&mut self) -> Option<(i64, i64)> {
        None
    }
    /// So many events were deleted before it came to them.
    fn lose(&mut self, lost: u64);
    /// Makes durable what it has taken, if it can.
    fn sync(&mut self) {}
}

/// Reads the outbox.
pub(crate) struct Reader {
    source: Source,
    state: State,
    spool: String,
    places: Vec<Place>,
    recorder: Recorder,
    acknowledged: Instant,
}

/// Where one receiver is.
struct Place {
    cursor: Cursor,
    /// As it was acknowledged.
    known: i64,
    not_before: Option<Instant>,
}

impl Reader {
    /// Begins where the receivers of the last run have come to.
    ///
    /// Errors: the database cannot be read.
    pub(crate) fn open(source: Source) -> Result<Reader, (Source, state::StateError)> {
        let opened = State::open_to_read(&source.path).and_then(|state| Ok((state.spool_id()?, state)));
        match opened {
            Ok((spool, state)) => {
                Ok(Reader { source, state, spool, places: Vec::new(), recorder: Recorder::new(), acknowledged: Instant::now() })
            }
            Err(e) => Err((source, e)),
        }
    }

    /// Tells all that is new. Returns how long it may sleep if nobody wakes it.
    ///
    /// Errors: the database cannot be read.
    pub(crate) fn tell(&mut self, receivers: &mut [&mut dyn Receiver]) -> state::Result<Option<Duration>> {
        self.assign(receivers)?;
        while self.tell_some(receivers)? {}
        Ok(self.rest())
    }

    /// Commits how far the receivers have come, if that is news.
    pub(crate) fn acknowledge(&mut self, receivers: &mut [&mut dyn Receiver], now: bool) {
        let is_news = self.places.iter().any(|place| place.cursor.seq != place.known || place.cursor.lost > 0);
        if !is_news || (!now && self.acknowledged.elapsed() < ACKNOWLEDGE) {
            return;
        }
        receivers.iter_mut().for_each(|receiver| receiver.sync());
        (self.source.acknowledge)(self.places.iter().map(|place| place.cursor.clone()).collect());
        for place in &mut self.places {
            place.known = place.cursor.seq;
            place.cursor.lost = 0;
        }
        self.acknowledged = Instant::now();
    }

    /// A place for each receiver, in their order; those that are gone have none.
    fn assign(&mut self, receivers: &mut [&mut dyn Receiver]) -> state::Result<()> {
        let names: Vec<&str> = receivers.iter().map(|receiver| receiver.name()).collect();
        if self.places.iter().map(|place| place.cursor.name.as_str()).eq(names.iter().copied()) {
            return Ok(());
        }
        let mut old = std::mem::take(&mut self.places);
        for (mut cursor, receiver) in self.state.cursors(&names)?.into_iter().zip(receivers) {
            // A number that a power cut gave back belongs to another time, and then the receiver has less than it says.
            if let Some((seq, at)) = receiver.reached()
                && self.state.told_after(seq - 1, 1)?.first().is_some_and(|told| (told.seq, told.at) == (seq, at))
            {
                cursor.seq = cursor.seq.max(seq);
            }
            let at = old.iter().position(|place| place.cursor.name == cursor.name);
            let known = cursor.seq;
            // Losses are read where they are found.
            let new = || Place { cursor: Cursor { lost: 0, ..cursor }, known, not_before: None };
            self.places.push(at.map_or_else(new, |at| old.swap_remove(at)));
        }
        Ok(())
    }

    /// The next transactions, to every receiver that is ready for them. False if there are none.
    fn tell_some(&mut self, receivers: &mut [&mut dyn Receiver]) -> state::Result<bool> {
        let now = Instant::now();
        let is_ready = |place: &Place| place.not_before.is_none_or(|at| at <= now);
        let Some(from) = self.places.iter().filter(|place| is_ready(place)).map(|place| place.cursor.seq).min() else {
            return Ok(false);
        };
        let told = self.state.told_after(from, EVENTS)?;
        let (Some(first), Some(last)) = (told.first().map(|told| told.seq), told.last().map(|told| told.seq)) else {
            return Ok(false);
        };
        if first > from + 1 {
            self.count_losses(receivers)?;
        }
        let events: Vec<Kept> = told.iter().flat_map(|told| self.kept(told)).collect();
        for (place, receiver) in self.places.iter_mut().zip(receivers).filter(|(place, _)| is_ready(place)) {
            let new: Vec<&Kept> = events.iter().filter(|event| event.seq > place.cursor.seq).collect();
            match new.is_empty() || receiver.take(&new) {
                true => (place.cursor.seq, place.not_before) = (place.cursor.seq.max(last), None),
                false => place.not_before = Some(now + PAUSE),
            }
        }
        Ok(true)
    }

    /// Rows are missing: they were deleted for want of room, and that was counted.
    fn count_losses(&mut self, receivers: &mut [&mut dyn Receiver]) -> state::Result<()> {
        let names: Vec<&str> = receivers.iter().map(|receiver| receiver.name()).collect();
        let counted = self.state.cursors(&names)?;
        for ((place, receiver), counted) in self.places.iter_mut().zip(receivers).zip(counted) {
            let news = counted.lost.saturating_sub(place.cursor.lost);
            if news > 0 {
                receiver.lose(news);
                place.cursor.lost = counted.lost;
            }
        }
        Ok(())
    }

    fn kept(&self, told: &Told) -> Vec<Kept> {
        let one = |(at, line): (usize, &String)| {
            let (id, event) = MessageEvent::parse(line)?;
            let mut record = self.recorder.record(&event, id, told.at)?;
            record.id = Some(told.id(&self.spool, at));
            Some(Kept { seq: told.seq, id, event, record })
        };
        told.events.iter().enumerate().filter_map(one).collect()
    }

    fn rest(&self) -> Option<Duration> {
        let is_news = self.places.iter().any(|place| place.cursor.seq != place.known);
        let refused = self.places.iter().any(|place| place.not_before.is_some()).then_some(PAUSE);
        is_news.then_some(ACKNOWLEDGE).into_iter().chain(refused).min()
    }
}

/// Makes records of events, without logging them.
struct Recorder {
    dispatch: Dispatch,
    heard: Arc<Mutex<Option<Record>>>,
}

impl Recorder {
    fn new() -> Recorder {
        let heard = Arc::default();
        Recorder { dispatch: Dispatch::new(Hearer(Arc::clone(&heard))), heard }
    }

    fn record(&self, event: &MessageEvent, id: QueueId, at: i64) -> Option<Record> {
        tracing::dispatcher::with_default(&self.dispatch, || event.log(id));
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).take();
        heard.map(|record| Record { at, ..record })
    }
}

/// A subscriber that keeps the last event.
struct Hearer(Arc<Mutex<Option<Record>>>);

impl tracing::Subscriber for Hearer {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &tracing::Event<'_>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Record::of(event, 0);
    }

    // Events have no spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &SpanRecord<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A listener gets all events. It must not block the thread for long.
pub(crate) type Listener = Box<dyn FnMut(&[Record]) + Send>;

/// The log, and what listens to it: the memory of the alarms, the counters.
pub(crate) struct LogReceiver<'a> {
    /// Who else hears what is logged.
    pub(crate) listeners: &'a mut [Listener],
}

impl Receiver for LogReceiver<'_> {
    fn name(&self) -> &'static str {
        "log"
    }

    fn take(&mut self, events: &[&Kept]) -> bool {
        events.iter().for_each(|event| event.log());
        let records: Vec<Record> = events.iter().map(|event| event.record().clone()).collect();
        self.listeners.iter_mut().for_each(|listener| listener(&records));
        true
    }

    fn lose(&mut self, lost: u64) {
        events::events_lost("log", lost);
    }
}
