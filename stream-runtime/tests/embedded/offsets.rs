//! Checkpoints: claiming, committing, being superseded.

use stream_runtime::{Backend, Checkpoint, EntryId, ErrorKind};

use crate::scratch::Scratch;

fn at(ms: u64) -> Checkpoint {
    Checkpoint::at(EntryId::new(ms, 0))
}

#[tokio::test]
async fn a_commit_is_there_after_a_reopen() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let mut offsets = backend.offsets("c");
    assert!(offsets.load().await.unwrap().is_none());
    for ms in [1, 2, 3] {
        offsets.commit(at(ms)).await.unwrap();
    }
    offsets.verify().await.unwrap();
    drop((offsets, backend));

    let backend = scratch.open();
    let loaded = backend.offsets("c").load().await.unwrap();
    assert_eq!(loaded.map(|checkpoint| checkpoint.id), Some(EntryId::new(3, 0)));
    assert!(backend.offsets("other").load().await.unwrap().is_none());
}

#[tokio::test]
async fn the_last_to_claim_supersedes_the_others() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let (mut older, mut newer) = (backend.offsets("c"), backend.offsets("c"));
    older.load().await.unwrap();
    older.commit(at(5)).await.unwrap();

    let loaded = newer.load().await.unwrap();
    assert_eq!(loaded.map(|checkpoint| checkpoint.id), Some(EntryId::new(5, 0)));
    let error = older.commit(at(9)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Superseded, "{error}");
    assert_eq!(older.verify().await.unwrap_err().kind(), ErrorKind::Superseded);
    assert_eq!(older.load().await.unwrap_err().kind(), ErrorKind::Superseded);

    newer.commit(at(6)).await.unwrap();
    let loaded = newer.load().await.unwrap();
    assert_eq!(loaded.map(|checkpoint| checkpoint.id), Some(EntryId::new(6, 0)));
}

#[tokio::test]
async fn of_many_claims_at_once_exactly_one_can_commit() {
    let scratch = Scratch::new();
    let backend = scratch.open();
    let mut claims = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let mut offsets = backend.offsets("c");
        claims.spawn(async move {
            offsets.load().await.unwrap();
            offsets
        });
    }
    let mut committed = 0;
    for mut offsets in claims.join_all().await {
        match offsets.commit(at(1)).await {
            Ok(()) => committed += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Superseded, "{error}"),
        }
    }
    assert_eq!(committed, 1);
}
