//! Batches to a fingerprint: one message and one SHA-256 per row.
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Fields, Schema};
use sha2::{Digest, Sha256};

use super::{
    Fingerprint, RowDigest, add,
    class::{self, Member},
    limbs, normal,
};
use crate::{Error, Kind, Result};

/// Takes batches and gives their fingerprint. One per reader; merge the results.
pub struct Hasher {
    columns: Vec<(Member, DataType)>,
    fingerprint: Fingerprint,
    message: Vec<u8>,
}

impl Hasher {
    /// A hasher of the named columns of `schema` (all of them if `columns` is `None`).
    ///
    /// # Errors
    /// [`crate::Kind::SchemaMismatch`] for a column that is not there or is named twice,
    /// [`crate::Kind::UnsupportedFeature`] for a type without a canonical form.
    pub fn new(schema: &Schema, columns: Option<&[String]>) -> Result<Self> {
        let wanted = match columns {
            None => (0..schema.fields().len()).collect(),
            Some(names) => names.iter().map(|name| position(schema, name)).collect::<Result<Vec<_>>>()?,
        };
        let fields: Fields = wanted.iter().map(|index| schema.fields()[*index].clone()).collect();
        let mut members = class::members(&fields)?;
        let fingerprint = Fingerprint { columns: class::columns_hash(&members), rows: 0, sum: [0; 4] };
        members.iter_mut().for_each(|member| member.index = wanted[member.index]);
        let columns = members.into_iter().map(|member| {
            let data_type = schema.field(member.index).data_type().clone();
            (member, data_type)
        });
        Ok(Self { columns: columns.collect(), fingerprint, message: Vec::new() })
    }

    /// Adds the rows of a batch with the schema given to `new`.
    ///
    /// # Errors
    /// [`crate::Kind::UnsupportedFeature`] for a value without a canonical form (a time finer than a microsecond); a
    /// batch of another schema gives [`crate::Kind::Internal`].
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.add_seen(batch, |_, _| {})
    }

    /// The same, with each row's place in the batch and its digest shown to `see`.
    ///
    /// # Errors
    /// As `add`.
    pub fn add_seen(&mut self, batch: &RecordBatch, mut see: impl FnMut(usize, &RowDigest)) -> Result<()> {
        let columns = self.columns.iter().map(|(member, data_type)| {
            let array = batch.columns().get(member.index).filter(|array| array.data_type() == data_type);
            normal::column(array.ok_or_else(|| other_schema(&member.name))?, &member.class, &member.name)
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            self.message.clear();
            columns.iter().for_each(|column| column.append(row, &mut self.message));
            let digest: RowDigest = Sha256::digest(&self.message).into();
            add(&mut self.fingerprint.sum, &limbs(&digest));
            see(row, &digest);
        }
        self.fingerprint.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// The fingerprint of what was added.
    #[must_use]
    pub fn finish(self) -> Fingerprint {
        self.fingerprint
    }
}

fn position(schema: &Schema, name: &str) -> Result<usize> {
    schema
        .fields()
        .iter()
        .position(|field| field.name() == name)
        .ok_or_else(|| Error::new(Kind::SchemaMismatch, format!("there is no column `{name}` to fingerprint")))
}

fn other_schema(name: &str) -> Error {
    Error::new(Kind::Internal, format!("a batch of another schema came to be fingerprinted (column `{name}`)"))
}
