//! A consumer's record in the file.

use std::sync::Arc;

use async_trait::async_trait;

use super::Shared;
use super::tables::OFFSETS;
use crate::backend::BackendError;
use crate::offsets::{Register, Swap};

pub(super) struct FileRegister {
    shared: Arc<Shared>,
    consumer: Arc<str>,
}

impl FileRegister {
    pub(super) fn new(shared: Arc<Shared>, consumer: &str) -> Self {
        Self { shared, consumer: consumer.into() }
    }
}

#[async_trait]
impl Register for FileRegister {
    async fn get(&mut self) -> Result<Option<String>, BackendError> {
        let consumer = Arc::clone(&self.consumer);
        self.shared
            .query(move |transaction| {
                let record = transaction.open_table(OFFSETS)?.get(&*consumer)?;
                Ok(record.map(|record| record.value().to_owned()))
            })
            .await
    }

    async fn swap(&mut self, expected: Option<&str>, new: &str) -> Result<Swap, BackendError> {
        let consumer = Arc::clone(&self.consumer);
        let expected = expected.map(str::to_owned);
        let new = new.to_owned();
        self.shared.writer.change(move |tables| tables.swap(&consumer, expected.as_deref(), &new)).await
    }
}
