//! Promises of [`OffsetStore`](crate::OffsetStore) about whose the consumer is.

use tokio::task::JoinSet;

use super::Subject;
use super::support::{at, claimed, commit, fail, load, loaded_id, refused, soon, verify};
use crate::backend::{Checkpoint, ErrorKind, Mark, OffsetStore};
use crate::entry::EntryId;

const CONSUMER: &str = "contract";

/// A claim takes over the checkpoint of the one before, with its mark, and changes neither.
pub async fn a_claim_keeps_the_checkpoint<S: Subject>(subject: S) {
    let id = EntryId::new(7, 3);
    let mut store = claimed(&subject, CONSUMER).await;
    commit(&mut store, Checkpoint { id, mark: Some(Mark::stored("seen 7")) }).await;
    for claim in 1..=5 {
        let Some(checkpoint) = load(&mut subject.backend().offsets(CONSUMER)).await else {
            fail(&format!("claim {claim} lost the checkpoint"));
        };
        assert_eq!(checkpoint.id, id, "claim {claim}");
        let mark = checkpoint.mark.map(|mark| mark.text(id));
        assert_eq!(mark.as_deref(), Some("seen 7"), "the mark of claim {claim}");
    }
}

/// From a claim on, the stores that had the consumer before can neither commit, verify nor load, and the error
/// says that they are superseded; what they tried leaves no trace.
pub async fn a_claim_supersedes_the_ones_before<S: Subject>(subject: S) {
    let mut first = claimed(&subject, CONSUMER).await;
    commit(&mut first, at(1)).await;
    let mut second = claimed(&subject, CONSUMER).await;
    expect_superseded(&mut first).await;
    verify(&mut second).await;
    commit(&mut second, at(2)).await;

    let mut third = claimed(&subject, CONSUMER).await;
    for store in [&mut first, &mut second] {
        expect_superseded(store).await;
    }
    verify(&mut third).await;
    assert_eq!(loaded_id(&mut third).await, Some(EntryId::new(2, 0)), "after commits that were refused");
    commit(&mut third, at(3)).await;
    expect_superseded(&mut second).await;
}

/// A superseded store never gets the consumer back: its loads take the claim from nobody, also when nothing was
/// ever committed.
pub async fn a_superseded_store_stays_superseded<S: Subject>(subject: S) {
    let mut old = claimed(&subject, CONSUMER).await;
    let mut new = claimed(&subject, CONSUMER).await;
    for n in 1..=3 {
        expect_superseded(&mut old).await;
        let committed = (n > 1).then(|| EntryId::new(n - 1, 0));
        assert_eq!(loaded_id(&mut new).await, committed, "the store that has the consumer");
        commit(&mut new, at(n)).await;
    }
}

/// Of stores that claim at the same moment, one has the consumer in the end, and the others know that they have not.
pub async fn of_many_claims_at_once_one_can_commit<S: Subject>(subject: S) {
    for round in 1..=5 {
        let mut claims = JoinSet::new();
        for _ in 0..8 {
            let mut store = subject.backend().offsets(CONSUMER);
            claims.spawn(async move {
                let claim = soon("a claim", store.load()).await;
                // One that another overtook while it claimed may have been told so at once.
                claim.map(|_| store).map_err(|error| error.kind())
            });
        }
        let mut committed = 0;
        // Once all have claimed: who commits before the last claim does nothing wrong.
        for claim in claims.join_all().await {
            let result = match claim {
                Ok(mut store) => {
                    soon("a commit", store.commit(at(round))).await.map_err(|error| error.kind())
                }
                Err(kind) => Err(kind),
            };
            match result {
                Ok(()) => committed += 1,
                Err(kind) => assert_eq!(kind, ErrorKind::Superseded, "a claim that was overtaken"),
            }
        }
        assert_eq!(committed, 1, "so many of eight claims could commit");
    }
}

/// A store that has not claimed the consumer cannot commit: the record is not one that it wrote.
pub async fn a_commit_needs_a_claim<S: Subject>(subject: S) {
    let mut store = claimed(&subject, CONSUMER).await;
    commit(&mut store, at(1)).await;
    let mut stranger = subject.backend().offsets(CONSUMER);
    let kind = refused("a commit without a claim", soon("a commit", stranger.commit(at(2))).await);
    assert!(matches!(kind, ErrorKind::Conflict | ErrorKind::Superseded), "{kind:?} without a claim");
    verify(&mut store).await;
    assert_eq!(loaded_id(&mut store).await, Some(EntryId::new(1, 0)), "after a commit without a claim");
}

async fn expect_superseded(store: &mut Box<dyn OffsetStore>) {
    let commit = refused("a commit after another's claim", soon("a commit", store.commit(at(99))).await);
    let verify = refused("verifying after another's claim", soon("a verification", store.verify()).await);
    let load = refused("loading after another's claim", soon("a checkpoint", store.load()).await);
    for (doing, kind) in [("a commit", commit), ("verifying", verify), ("loading", load)] {
        assert_eq!(kind, ErrorKind::Superseded, "the kind of error of {doing} after another's claim");
    }
}
