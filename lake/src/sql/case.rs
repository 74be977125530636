//! Unquoted names: as written where that matches, else the only one that differs in case alone.
use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

use arrow_schema::SchemaRef;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, SelectItem, SetExpr, Statement, TableAlias, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

/// Spells unquoted column names like the columns or aliases that they must mean.
pub fn mend<'a>(statement: &mut Statement, schemas: impl Iterator<Item = &'a SchemaRef>) {
    let mut names = Names::default();
    schemas.flat_map(|schema| schema.fields()).for_each(|field| names.add(field.name()));
    let _: ControlFlow<()> = Visit::visit(&*statement, &mut names);
    let _: ControlFlow<()> = VisitMut::visit(statement, &mut Mender(names));
}

/// All names that a column, or what qualifies it, may have in the statement.
#[derive(Default)]
struct Names {
    exact: HashSet<String>,
    /// By lower-case spelling; `None` for several.
    folded: HashMap<String, Option<String>>,
}

impl Names {
    fn add(&mut self, name: &str) {
        if self.exact.insert(name.to_owned()) {
            let folded = self.folded.entry(name.to_lowercase());
            folded.and_modify(|known| *known = None).or_insert_with(|| Some(name.to_owned()));
        }
    }

    fn add_alias(&mut self, alias: &TableAlias) {
        self.add(&alias.name.value);
        alias.columns.iter().for_each(|column| self.add(&column.name.value));
    }

    fn add_select(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => {
                for item in &select.projection {
                    if let SelectItem::ExprWithAlias { alias, .. } = item {
                        self.add(&alias.value);
                    }
                }
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.add_select(left);
                self.add_select(right);
            }
            _ => {}
        }
    }

    fn meant_by(&self, name: &Ident) -> Option<&String> {
        if name.quote_style.is_some() || self.exact.contains(&name.value) {
            return None;
        }
        self.folded.get(&name.value.to_lowercase())?.as_ref()
    }
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        query.with.iter().flat_map(|with| &with.cte_tables).for_each(|cte| self.add_alias(&cte.alias));
        self.add_select(&query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { alias: None, name, .. } => {
                name.0.iter().filter_map(|part| part.as_ident()).for_each(|part| self.add(&part.value));
            }
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::TableFunction { alias: Some(alias), .. }
            | TableFactor::UNNEST { alias: Some(alias), .. } => self.add_alias(alias),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

struct Mender(Names);

impl VisitorMut for Mender {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let parts = match expr {
            Expr::Identifier(name) => std::slice::from_mut(name),
            Expr::CompoundIdentifier(parts) => parts.as_mut_slice(),
            _ => return ControlFlow::Continue(()),
        };
        for part in parts {
            if let Some(meant) = self.0.meant_by(part) {
                part.value.clone_from(meant);
            }
        }
        ControlFlow::Continue(())
    }
}
