//! Moves of many files at once, for operators.

use mail::queue_id::QueueId;

use super::Store;

/// A message, its old directory and its new one.
pub(crate) type Move = (QueueId, &'static str, &'static str);

impl Store {
    /// Moves each message, never replacing another, and makes all moves durable before returning. `None` means
    /// no move, and succeeds. If a directory cannot be synced, every move fails: none of them is known to be durable.
    pub fn move_all(&self, moves: &[Option<Move>]) -> Vec<std::io::Result<()>> {
        let shift = |one: &Option<Move>| one.map_or(Ok(()), |(id, from, to)| self.shift(id, from, to));
        let mut moved: Vec<std::io::Result<()>> = moves.iter().map(shift).collect();
        if let Err(e) = self.sync_moves() {
            for (one, result) in moves.iter().zip(&mut moved) {
                if one.is_some() && result.is_ok() {
                    *result = Err(std::io::Error::new(e.kind(), e.to_string()));
                }
            }
        }
        moved
    }

    /// True if there is a file of this id in the directory.
    pub fn has(&self, directory: &str, id: QueueId) -> bool {
        sys::fs::stat_at(self.directory(directory), id.to_string()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout;
    use crate::testing::Scratch;

    #[test]
    fn each_message_moves_or_says_why_and_none_replaces_another() {
        let scratch = Scratch::new();
        let store = scratch.store();
        let ids: Vec<QueueId> = (0..3).map(|_| scratch.claimed(&["bob@receiver.example"]).envelope.id).collect();
        std::fs::write(scratch.file(layout::HOLD, ids[1]), "another").unwrap();
        let missing = QueueId::new(1, 1);
        let to_hold = |id| Some((id, layout::CUR, layout::HOLD));
        let moved = store.move_all(&[to_hold(ids[0]), None, to_hold(ids[1]), to_hold(missing), Some((ids[2], layout::CUR, layout::TRASH))]);
        assert_eq!(moved.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false, false, true]);
        assert_eq!(scratch.names(layout::CUR), [ids[1].to_string()]);
        assert!(store.has(layout::TRASH, ids[2]) && !store.has(layout::TRASH, ids[0]));
        assert_eq!(std::fs::read(scratch.file(layout::HOLD, ids[1])).unwrap(), b"another");
        let held: Vec<QueueId> = store.each_id(layout::HOLD).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(held.len(), 2);
    }
}
