//! What must hold for written files to be published on the table as it is now.
use iceberg::spec::{NestedField, PartitionSpec, PartitionSpecRef, TableMetadata, Type};

use crate::{
    Error, Kind, Replaced, Result, Target,
    schema::{Base, Plan, plan},
};

/// The plan for the table as it is now, to which the files written for an earlier state still fit.
pub(super) fn rebase(target: &Target, now: Option<&Base>) -> Result<Plan> {
    let conflict = |what: &str| Error::new(Kind::CommitConflict, format!("table `{}` {what}", target.spec.name));
    let metadata = match (&target.base, now) {
        (Some(_), None) => return Err(conflict("was dropped while its rows were read")),
        (Some(then), Some(now)) if then.metadata.uuid() != now.metadata.uuid() => {
            return Err(conflict("was replaced by another one while its rows were read"));
        }
        (_, now) => now.map(|now| now.metadata.as_ref()),
    };
    let plan = plan(metadata, &target.spec, &target.storage.table_location(&target.spec.name))?;
    for (id, written) in target.file_schema.field_id_to_fields() {
        if !plan.schema.field_by_id(*id).is_some_and(|now| still_fits(written, now)) {
            return Err(conflict("got columns under the ids that the written files use"));
        }
    }
    if metadata.is_some_and(|metadata| spec_of_files(target, metadata).is_none()) {
        return Err(conflict("is partitioned in another way than the written files"));
    }
    Ok(plan)
}

/// What files were exchanged for must still be what the table is.
pub(super) fn still_at(target: &Target, replaced: &Replaced, now: Option<&Base>) -> Result<()> {
    let current = now.and_then(|now| now.metadata.current_snapshot_id());
    match replaced.at {
        Some(at) if current != Some(at) => {
            let message =
                format!("table `{}` got other rows while those to be replaced were looked for", target.spec.name);
            Err(Error::new(Kind::CommitConflict, message))
        }
        _ => Ok(()),
    }
}

/// The table's spec by which the files were written. It need not be the default one any more.
pub(super) fn spec_of_files<'a>(target: &Target, metadata: &'a TableMetadata) -> Option<&'a PartitionSpecRef> {
    let written: &PartitionSpec = &target.plan.partition;
    let spec = metadata.partition_spec_by_id(written.spec_id())?;
    (spec.fields() == written.fields()).then_some(spec)
}

/// Whether a column of the files can be read as the table's column of the same id.
fn still_fits(written: &NestedField, now: &NestedField) -> bool {
    use iceberg::spec::PrimitiveType as P;
    let kind = match (written.field_type.as_ref(), now.field_type.as_ref()) {
        (Type::Primitive(written), Type::Primitive(now)) => match (written, now) {
            (P::Int, P::Long) | (P::Float, P::Double) => true,
            (P::Decimal { precision: p, scale: s }, P::Decimal { precision, scale }) => p <= precision && s == scale,
            _ => written == now,
        },
        (Type::Struct(_), Type::Struct(_)) | (Type::List(_), Type::List(_)) | (Type::Map(_), Type::Map(_)) => true,
        _ => false,
    };
    kind && written.name == now.name && (written.required || !now.required)
}
