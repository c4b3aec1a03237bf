//! A subscriber that keeps every event, for tests that read the log.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// What was logged since the last [`LogLines::take`]. Its clones share the lines.
#[derive(Clone, Default)]
pub(crate) struct LogLines(Arc<Mutex<Vec<LogLine>>>);

impl LogLines {
    pub(crate) fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut self.0.lock().expect("the log lines"))
    }
}

/// One event: its fields as text, without the message.
pub(crate) struct LogLine {
    pub(crate) level: Level,
    pub(crate) target: &'static str,
    pub(crate) message: String,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

impl LogLine {
    pub(crate) fn level_and_message(&self) -> String {
        format!("{} {}", self.level, self.message)
    }
}

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => {
                self.fields.insert(name, value.to_owned());
            }
        }
    }
}

impl Subscriber for LogLines {
    fn event(&self, event: &Event<'_>) {
        let mut line = LogLine {
            level: *event.metadata().level(),
            target: event.metadata().target(),
            message: String::new(),
            fields: BTreeMap::new(),
        };
        event.record(&mut line);
        self.0.lock().expect("the log lines").push(line);
    }

    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}
