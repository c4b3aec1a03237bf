//! Two stores on one string: who may write it.

use std::sync::{Arc, Mutex};

use super::*;

/// A string that stores share, with answers that get lost on demand.
#[derive(Clone, Default)]
struct Shared {
    text: Arc<Mutex<Option<String>>>,
    lose_replies: Arc<Mutex<u32>>,
}

#[async_trait]
impl Register for Shared {
    async fn get(&mut self) -> Result<Option<String>, BackendError> {
        Ok(self.text.lock().unwrap().clone())
    }

    async fn swap(&mut self, expected: Option<&str>, new: &str) -> Result<Swap, BackendError> {
        let mut text = self.text.lock().unwrap();
        if text.as_deref() != expected && text.as_deref() != Some(new) {
            return Ok(Swap::Found(text.clone()));
        }
        *text = Some(new.to_owned());
        let mut lose = self.lose_replies.lock().unwrap();
        if *lose > 0 {
            *lose -= 1;
            return Err(BackendError::transient(anyhow!("reply lost")));
        }
        Ok(Swap::Done)
    }
}

impl Shared {
    fn store(&self) -> Offsets<Self> {
        Offsets::new(self.clone())
    }

    fn set(&self, text: &str) {
        *self.text.lock().unwrap() = Some(text.to_owned());
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone().unwrap()
    }

    fn lose_replies(&self, count: u32) {
        *self.lose_replies.lock().unwrap() = count;
    }
}

fn at(ms: u64) -> Checkpoint {
    Checkpoint::at(EntryId::new(ms, 0))
}

/// A record at 5-0 with a mark, and the store that wrote it.
async fn marked() -> (Shared, Offsets<Shared>) {
    let shared = Shared::default();
    let mut store = shared.store();
    loaded(&mut store).await;
    let mark = Mark::new(|id| format!("seen {}", id.ms));
    store.commit(Checkpoint { id: EntryId::new(5, 0), mark: Some(mark) }).await.unwrap();
    (shared, store)
}

async fn loaded(store: &mut Offsets<Shared>) -> Option<EntryId> {
    store.load().await.unwrap().map(|checkpoint| checkpoint.id)
}

fn kind<T: fmt::Debug>(result: Result<T, BackendError>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[tokio::test]
async fn a_claim_keeps_the_offset_and_raises_the_epoch() {
    let shared = Shared::default();
    let mut first = shared.store();
    assert_eq!(loaded(&mut first).await, None);
    first.commit(at(5)).await.unwrap();
    let mut second = shared.store();
    assert_eq!(loaded(&mut second).await, Some(EntryId::new(5, 0)));
    assert_eq!(shared.text(), format!("1 2 {:016x} 5-0", second.owner));
}

#[tokio::test]
async fn a_bare_id_loads_and_becomes_a_record() {
    let shared = Shared::default();
    shared.set("1526919030474-55");
    let mut store = shared.store();
    assert_eq!(loaded(&mut store).await, Some(EntryId::new(1526919030474, 55)));
    assert_eq!(shared.text(), format!("1 1 {:016x} 1526919030474-55", store.owner));
}

#[tokio::test]
async fn the_older_store_can_neither_commit_nor_claim_again() {
    let shared = Shared::default();
    let (mut old, mut new) = (shared.store(), shared.store());
    loaded(&mut old).await;
    loaded(&mut new).await;
    new.commit(at(9)).await.unwrap();
    assert_eq!(kind(old.commit(at(5)).await), ErrorKind::Superseded);
    assert_eq!(kind(old.verify().await), ErrorKind::Superseded);
    assert_eq!(kind(old.load().await), ErrorKind::Superseded);
    new.verify().await.unwrap();
    assert!(shared.text().ends_with(" 9-0"));
}

#[tokio::test]
async fn two_claims_at_the_same_moment_are_told_apart() {
    let shared = Shared::default();
    let (mut one, mut other) = (shared.store(), shared.store());
    loaded(&mut one).await;
    // The other looked before the first claimed, and comes to the same epoch.
    other.ours = Some(Record { epoch: 1, owner: other.owner, id: None, mark: None });
    assert_eq!(kind(other.commit(at(1)).await), ErrorKind::Superseded);
}

#[tokio::test]
async fn commits_in_doubt_are_recognised_also_by_a_later_commit() {
    let shared = Shared::default();
    let mut store = shared.store();
    loaded(&mut store).await;
    shared.lose_replies(2);
    assert_eq!(kind(store.commit(at(5)).await), ErrorKind::Transient);
    assert_eq!(kind(store.commit(at(5)).await), ErrorKind::Transient);
    store.commit(at(7)).await.unwrap();
    assert!(shared.text().ends_with(" 7-0"));
    store.verify().await.unwrap();
}

#[tokio::test]
async fn a_claim_in_doubt_is_made_again() {
    let shared = Shared::default();
    let mut store = shared.store();
    shared.lose_replies(1);
    assert_eq!(kind(store.load().await), ErrorKind::Transient);
    assert_eq!(loaded(&mut store).await, None);
    store.commit(at(1)).await.unwrap();
}

#[tokio::test]
async fn a_record_that_went_back_is_a_conflict_and_is_loaded_again() {
    let shared = Shared::default();
    let mut store = shared.store();
    loaded(&mut store).await;
    store.commit(at(5)).await.unwrap();
    let before = shared.text();
    store.commit(at(9)).await.unwrap();
    shared.set(&before);
    assert_eq!(kind(store.verify().await), ErrorKind::Conflict);
    assert_eq!(kind(store.commit(at(10)).await), ErrorKind::Conflict);
    assert_eq!(loaded(&mut store).await, Some(EntryId::new(5, 0)));
    store.commit(at(6)).await.unwrap();
}

#[tokio::test]
async fn a_record_of_an_older_claim_is_claimed_again_with_a_newer_epoch() {
    let shared = Shared::default();
    let (mut old, mut store) = (shared.store(), shared.store());
    loaded(&mut old).await;
    old.commit(at(5)).await.unwrap();
    let before = shared.text();
    loaded(&mut store).await;
    store.commit(at(9)).await.unwrap();
    shared.set(&before); // a failover lost the claim
    assert_eq!(kind(store.commit(at(10)).await), ErrorKind::Conflict);
    assert_eq!(loaded(&mut store).await, Some(EntryId::new(5, 0)));
    store.commit(at(6)).await.unwrap();
    assert_eq!(shared.text(), format!("1 3 {:016x} 6-0", store.owner));
    assert_eq!(kind(old.commit(at(6)).await), ErrorKind::Superseded);
}

#[tokio::test]
async fn a_record_of_an_older_claim_of_ones_own_is_no_commit_in_doubt() {
    let shared = Shared::default();
    let mut store = shared.store();
    loaded(&mut store).await;
    store.commit(at(20)).await.unwrap();
    let older = shared.text();
    shared.set("18-0");
    assert_eq!(loaded(&mut store).await, Some(EntryId::new(18, 0)));
    shared.set(&older);
    assert_eq!(kind(store.verify().await), ErrorKind::Conflict);
    assert_eq!(kind(store.commit(at(45)).await), ErrorKind::Conflict);
    assert_eq!(shared.text(), older);
}

#[tokio::test]
async fn what_is_no_record_is_a_configuration_error_and_stays() {
    for text in ["", "yesterday", "2 1 0 5-0", "1 x 0 5-0", "1 1 0", "1 1 z 5-0 more"] {
        let shared = Shared::default();
        shared.set(text);
        assert_eq!(kind(shared.store().load().await), ErrorKind::Configuration, "{text:?}");
        assert_eq!(shared.text(), text);
    }
}

#[tokio::test]
async fn a_mark_is_stored_with_its_checkpoint_and_survives_a_claim() {
    let (shared, _) = marked().await;
    let checkpoint = shared.store().load().await.unwrap().unwrap();
    assert_eq!(checkpoint.mark.unwrap().text(checkpoint.id), "seen 5");
}

#[tokio::test]
async fn a_record_that_vanished_is_written_again_with_its_mark() {
    let (shared, mut store) = marked().await;
    *shared.text.lock().unwrap() = None;
    assert_eq!(kind(store.verify().await), ErrorKind::Conflict);
    let checkpoint = store.load().await.unwrap().unwrap();
    assert_eq!(
        (checkpoint.id, checkpoint.mark.unwrap().text(checkpoint.id)),
        (EntryId::new(5, 0), "seen 5".into())
    );
    assert_eq!(shared.text(), format!("1 2 {:016x} 5-0 seen 5", store.owner));
}
