//! Budgets on disk, so that they survive a restart.

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};
use tokio::sync::oneshot;

/// Client, `d` or `m`, number of the day or month → tokens, nanodollars.
const SPENT: TableDefinition<'_, (&str, &str, u64), (u64, u64)> = TableDefinition::new("spent");

/// A budget period: a day or a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// A day (UTC).
    Day,
    /// A calendar month (UTC).
    Month,
}

/// What a client has used in one day or month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSpend {
    /// Name of the client.
    pub client: String,
    /// The kind of period.
    pub period: Period,
    /// Number of the day or month (see [`Date`](super::calendar::Date)).
    pub number: u64,
    /// Input and output tokens.
    pub tokens: u64,
    /// Cost in billionths of a dollar.
    pub nanodollars: u64,
}

/// The budget file, written by its own thread. Entries that arrive during a
/// write are written together, with one flush to the disk.
#[derive(Debug)]
pub struct BudgetFile {
    entries: Option<mpsc::Sender<Entry>>,
    writer: Option<thread::JoinHandle<()>>,
}

struct Entry {
    client: Arc<str>,
    day: u64,
    month: u64,
    tokens: i64,
    nanodollars: i64,
    written: oneshot::Sender<()>,
}

impl BudgetFile {
    /// Opens or creates the file and returns its content. Deletes entries older
    /// than the given day and month.
    ///
    /// # Errors
    /// When it is not a budget file, is locked by another process, or cannot be
    /// written.
    pub fn open(
        path: &Path,
        day: u64,
        month: u64,
    ) -> Result<(BudgetFile, Vec<StoredSpend>), Box<redb::Error>> {
        let opened = open(path, day, month);
        let (database, kept) = opened.map_err(Box::new)?;
        let (sender, receiver) = mpsc::channel();
        let writer = thread::Builder::new()
            .name("budgets".to_owned())
            .spawn(move || write_all(&database, &receiver))
            .map_err(|error| Box::new(redb::Error::Io(error)))?;
        let file = BudgetFile {
            entries: Some(sender),
            writer: Some(writer),
        };
        Ok((file, kept))
    }

    /// Adds tokens and nanodollars. The future completes when they are on disk;
    /// the entry is written even if nobody awaits it.
    pub fn add(
        &self,
        client: &Arc<str>,
        day: u64,
        month: u64,
        (tokens, nanodollars): (i64, i64),
    ) -> impl Future<Output = ()> + use<> {
        let (written, done) = oneshot::channel();
        let entry = Entry {
            client: Arc::clone(client),
            day,
            month,
            tokens,
            nanodollars,
            written,
        };
        if let Some(entries) = &self.entries {
            // If the thread has died, the budgets in memory still apply.
            let _ = entries.send(entry);
        }
        async move {
            let _ = done.await;
        }
    }
}

impl BudgetFile {
    /// Waits until everything added so far is on disk.
    pub async fn flush(&self) {
        // Entries are written in order.
        self.add(&Arc::from(""), 0, 0, (0, 0)).await;
    }
}

impl Drop for BudgetFile {
    /// Waits until everything is on disk.
    fn drop(&mut self) {
        drop(self.entries.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn open(path: &Path, day: u64, month: u64) -> Result<(Database, Vec<StoredSpend>), redb::Error> {
    let database = Database::create(path)?;
    let transaction = database.begin_write()?;
    {
        let mut spent = transaction.open_table(SPENT)?;
        spent.retain(|(_, period, number), _| match period {
            DAY => number >= day,
            _ => number >= month,
        })?;
    }
    transaction.commit()?;

    let mut kept = Vec::new();
    let transaction = database.begin_read()?;
    for entry in transaction.open_table(SPENT)?.iter()? {
        let (key, value) = entry?;
        let (client, period, number) = key.value();
        let (tokens, nanodollars) = value.value();
        kept.push(StoredSpend {
            client: client.to_owned(),
            period: if period == DAY {
                Period::Day
            } else {
                Period::Month
            },
            number,
            tokens,
            nanodollars,
        });
    }
    Ok((database, kept))
}

const DAY: &str = "d";
const MONTH: &str = "m";

fn write_all(database: &Database, entries: &mpsc::Receiver<Entry>) {
    let failing = AtomicBool::new(false);
    while let Ok(first) = entries.recv() {
        let batch: Vec<Entry> = std::iter::once(first).chain(entries.try_iter()).collect();
        let written = write(database, &batch);
        // Logged once per outage.
        match written {
            Ok(()) => failing.store(false, Ordering::Relaxed),
            Err(error) if !failing.swap(true, Ordering::Relaxed) => {
                tracing::error!(%error, "failed to write the budget file; a restart loses the budgets used so far");
            }
            Err(_) => {}
        }
        for entry in batch {
            // The call may have ended.
            let _ = entry.written.send(());
        }
    }
}

fn write(database: &Database, batch: &[Entry]) -> Result<(), redb::Error> {
    let mut sums: HashMap<(&str, &str, u64), (i64, i64)> = HashMap::new();
    for entry in batch.iter().filter(|it| !it.client.is_empty()) {
        for (period, number) in [(DAY, entry.day), (MONTH, entry.month)] {
            let sum = sums.entry((&entry.client, period, number)).or_default();
            sum.0 = sum.0.saturating_add(entry.tokens);
            sum.1 = sum.1.saturating_add(entry.nanodollars);
        }
    }
    let transaction = database.begin_write()?;
    {
        let mut spent = transaction.open_table(SPENT)?;
        for (key, (tokens, nanodollars)) in sums {
            let old = spent.get(key)?.map_or((0, 0), |old| old.value());
            let new = (
                old.0.saturating_add_signed(tokens),
                old.1.saturating_add_signed(nanodollars),
            );
            spent.insert(key, new)?;
        }
    }
    transaction.commit()?;
    Ok(())
}
