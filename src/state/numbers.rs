//! The queue in numbers: how many messages, how large, how old.

use crate::database::State;
use crate::errors::Result;

/// What lies in one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Messages by age class: those accepted after the first bound, after the second …
    pub by_age: Vec<u64>,
    /// Bytes of all of them.
    pub bytes: u64,
    /// When the oldest one was accepted, unix seconds.
    pub oldest: Option<i64>,
}

impl State {
    /// The numbers of `cur/`, `hold/` and `failed/`. `bounds` are unix seconds that fall; what is older than the last one is in no
    /// class.
    pub fn queue_numbers(&self, bounds: &[i64]) -> Result<[Numbers; 3]> {
        let mut numbers = [(); 3].map(|()| Numbers { by_age: vec![0; bounds.len()], ..Numbers::default() });
        let mut statement =
            self.connection.prepare_cached("SELECT dir, accepted, size FROM message INDEXED BY message_queued WHERE dir < 3")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let dir = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(usize::MAX);
            let (accepted, size): (i64, i64) = (row.get(1)?, row.get(2)?);
            let Some(of) = numbers.get_mut(dir) else { continue };
            let class = bounds.partition_point(|bound| *bound >= accepted);
            if let Some(messages) = of.by_age.get_mut(class) {
                *messages += 1;
            }
            of.bytes = of.bytes.saturating_add(u64::try_from(size).unwrap_or(0));
            of.oldest = Some(of.oldest.map_or(accepted, |oldest| oldest.min(accepted)));
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Origin;
    use super::super::QueueDir;
    use super::super::tests::message;
    use super::*;

    #[test]
    fn messages_are_counted_by_place_and_age() {
        let scratch = tempfile::tempdir().unwrap();
        let state = State::open(&scratch.path().join("state.sqlite")).unwrap();
        for (n, (dir, accepted)) in
            [(QueueDir::Cur, 990), (QueueDir::Cur, 900), (QueueDir::Cur, 5), (QueueDir::Hold, 999), (QueueDir::NoFile, 1)]
                .into_iter()
                .enumerate()
        {
            let row = super::super::Message { dir, accepted, size: 10, ..message(u32::try_from(n).unwrap()) };
            state.insert(&row, &[], &Origin::default()).unwrap();
        }
        let [cur, hold, failed] = state.queue_numbers(&[950, 100, i64::MIN]).unwrap();
        assert_eq!(cur, Numbers { by_age: vec![1, 1, 1], bytes: 30, oldest: Some(5) });
        assert_eq!(hold, Numbers { by_age: vec![1, 0, 0], bytes: 10, oldest: Some(999) });
        assert_eq!(failed, Numbers { by_age: vec![0, 0, 0], ..Numbers::default() });
    }
}
