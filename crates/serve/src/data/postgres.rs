//! PostgreSQL, by address: for a service of several machines.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use postgres::config::SslMode;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, GenericClient, NoTls};

use crate::data::error::Error;
use crate::data::migrations::{self, Dialect};
use crate::data::value::{Row, Value};
use crate::data::{Backend, Statements, Work, without_password};

/// Connections at most, for each process.
const MOST: usize = 8;

/// Any number that this program's migrations agree on.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(7236901)";

/// A server with some connections to it.
pub(super) struct Postgres {
    config: Config,
    address: String,
    pool: Mutex<Pool>,
    freed: Condvar,
}

/// Connections that nobody uses, and how many there are in all.
struct Pool {
    idle: Vec<Client>,
    open: usize,
}

impl Postgres {
    pub(super) fn open(address: &str) -> Result<Self, Error> {
        let shown = without_password(address);
        let failed = |source| Error::OpenPostgres { address: shown.clone(), source };
        let mut config: Config = address.parse().map_err(failed)?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(Error::PostgresTls { address: shown, mode: "require" });
        }
        config.connect_timeout(Duration::from_secs(10));
        config.application_name("plumb");
        let first = config.connect(NoTls).map_err(failed)?;
        let pool = Mutex::new(Pool { idle: vec![first], open: 1 });
        Ok(Self { config, address: shown, pool, freed: Condvar::new() })
    }

    /// Runs `work` with a connection that nobody else uses.
    fn with<T>(&self, work: impl FnOnce(&mut Client) -> Result<T, Error>) -> Result<T, Error> {
        let mut lease = self.lease()?;
        match &mut lease.client {
            Some(client) => work(client),
            None => Err(Error::Interrupted),
        }
    }

    fn lease(&self) -> Result<Lease<'_>, Error> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            while let Some(client) = pool.idle.pop() {
                if !client.is_closed() {
                    return Ok(Lease { owner: self, client: Some(client) });
                }
                pool.open -= 1;
            }
            if pool.open < MOST {
                pool.open += 1;
                drop(pool);
                // The lease gives its place back if connecting fails.
                let mut lease = Lease { owner: self, client: None };
                let connected = self.config.connect(NoTls);
                lease.client = Some(connected.map_err(|source| Error::OpenPostgres {
                    address: self.address.clone(),
                    source,
                })?);
                return Ok(lease);
            }
            pool = self.freed.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A connection that goes back when it is dropped.
struct Lease<'a> {
    owner: &'a Postgres,
    client: Option<Client>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut pool = self.owner.pool.lock().unwrap_or_else(PoisonError::into_inner);
        match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => pool.idle.push(client),
            None => pool.open -= 1,
        }
        self.owner.freed.notify_one();
    }
}

impl Backend for Postgres {
    fn read(&self, work: Work<'_>) -> Result<(), Error> {
        self.with(|client| {
            let transaction = client.build_transaction().read_only(true);
            // Several queries see one state.
            let transaction = transaction.isolation_level(postgres::IsolationLevel::RepeatableRead);
            let mut transaction = transaction.start().map_err(refused("BEGIN"))?;
            work(&mut Open(&mut transaction))
        })
    }

    fn write(&self, work: Work<'_>) -> Result<(), Error> {
        self.with(|client| {
            let mut transaction = client.transaction().map_err(refused("BEGIN"))?;
            work(&mut Open(&mut transaction))?;
            transaction.commit().map_err(refused("COMMIT"))
        })
    }

    fn migrate(&self) -> Result<(), Error> {
        self.write(&mut |sql| {
            // Two processes that start at once take turns.
            sql.batch(MIGRATION_LOCK)?;
            sql.execute(migrations::TABLE, &[])?;
            let applied = sql.query(migrations::APPLIED, &[])?;
            for step in migrations::missing(&applied, Dialect::Postgres)? {
                sql.batch(step.sql(Dialect::Postgres))?;
                sql.execute(migrations::APPLY, &step.record(Dialect::Postgres))?;
            }
            Ok(())
        })
    }
}

fn refused(sql: &str) -> impl Fn(postgres::Error) -> Error {
    move |source| Error::Postgres { sql: sql.to_owned(), source }
}

/// Statements on a connection that is in a transaction.
struct Open<'a, C>(&'a mut C);

impl<C: GenericClient> Statements for Open<'_, C> {
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, Error> {
        self.0.execute(&dollars(sql), &parameters(values)).map_err(refused(sql))
    }

    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Error> {
        let rows = self.0.query(&dollars(sql), &parameters(values)).map_err(refused(sql))?;
        rows.iter().map(|found| row(found, sql)).collect()
    }

    fn batch(&mut self, sql: &str) -> Result<(), Error> {
        self.0.batch_execute(sql).map_err(refused(sql))
    }
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// `?1` as PostgreSQL writes it. Statements of this crate have no other
/// question mark.
fn dollars(sql: &str) -> String {
    sql.replace('?', "$")
}

impl ToSql for Value {
    fn to_sql(
        &self,
        wanted: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql_checked(wanted, out),
            Self::Text(text) => text.to_sql_checked(wanted, out),
        }
    }

    fn accepts(wanted: &Type) -> bool {
        <i64 as ToSql>::accepts(wanted) || <String as ToSql>::accepts(wanted)
    }

    to_sql_checked!();
}

fn row(found: &postgres::Row, sql: &str) -> Result<Row, Error> {
    let mut values = Vec::with_capacity(found.len());
    for (index, column) in found.columns().iter().enumerate() {
        let value = if *column.type_() == Type::INT8 {
            found.try_get::<_, Option<i64>>(index).map(|number| number.map(Value::Int))
        } else {
            found.try_get::<_, Option<String>>(index).map(|text| text.map(Value::Text))
        };
        values.push(value.map_err(refused(sql))?.unwrap_or(Value::Null));
    }
    Ok(Row(values))
}
