//! What a key may do, and in which collections.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::auth::Denied;

/// What a key may do. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Ask, search, read documents and one's own conversations.
    Read,
    /// Also add, change and remove documents.
    Write,
    /// Also models, keys, settings and the audit log.
    Admin,
}

impl Role {
    /// Every role, least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The name on the command line, on the wire and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The role with that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// The collections that a key may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Every one, also those made later.
    All,
    /// Those named.
    Only(BTreeSet<String>),
}

impl Scope {
    /// Those named; none named is every one.
    pub fn of(names: &[String]) -> Self {
        if names.is_empty() { Self::All } else { Self::Only(names.iter().cloned().collect()) }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// What one key may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyLimits {
    /// Requests a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute, read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u32>,
    /// Requests a day, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_day: Option<u32>,
    /// Tokens a day, read and written, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// Share beside other keys when the service is full; 1 unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Seconds from the arrival of a request to its last byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<u32>,
    /// Seconds until the first text that is generated, and between two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_deadline_seconds: Option<u32>,
}

impl KeyLimits {
    /// These, and those of `others` where these say nothing.
    #[must_use]
    pub fn or(self, others: &Self) -> Self {
        Self {
            requests_per_minute: self.requests_per_minute.or(others.requests_per_minute),
            tokens_per_minute: self.tokens_per_minute.or(others.tokens_per_minute),
            requests_per_day: self.requests_per_day.or(others.requests_per_day),
            tokens_per_day: self.tokens_per_day.or(others.tokens_per_day),
            weight: self.weight.or(others.weight),
            deadline_seconds: self.deadline_seconds.or(others.deadline_seconds),
            token_deadline_seconds: self.token_deadline_seconds.or(others.token_deadline_seconds),
        }
    }

    /// The first limit that is 0, under which nothing could be done.
    pub fn first_zero(&self) -> Option<&'static str> {
        let all = [
            ("requests_per_minute", self.requests_per_minute.map(u64::from)),
            ("tokens_per_minute", self.tokens_per_minute.map(u64::from)),
            ("requests_per_day", self.requests_per_day.map(u64::from)),
            ("tokens_per_day", self.tokens_per_day),
            ("weight", self.weight.map(u64::from)),
            ("deadline_seconds", self.deadline_seconds.map(u64::from)),
            ("token_deadline_seconds", self.token_deadline_seconds.map(u64::from)),
        ];
        all.into_iter().find(|(_, limit)| *limit == Some(0)).map(|(name, _)| name)
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The id of the key, or `local` where no key is asked for.
    pub id: String,
    /// What the key was named.
    pub name: String,
    /// What the key may take.
    pub limits: KeyLimits,
    role: Role,
    scope: Scope,
}

impl Principal {
    /// The owner of what is done where no key is asked for.
    pub const LOCAL: &'static str = "local";

    pub(crate) fn new(id: &str, name: &str, role: Role, scope: Scope, limits: KeyLimits) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), limits, role, scope }
    }

    /// Whoever runs the program or reaches a service that is open.
    pub fn local() -> Self {
        Self::new(Self::LOCAL, Self::LOCAL, Role::Admin, Scope::All, KeyLimits::default())
    }

    /// What the principal may do.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Refuses what needs more than the principal has.
    pub fn require(&self, need: Role) -> Result<(), Denied> {
        if need <= self.role { Ok(()) } else { Err(Denied::Role { need, has: self.role }) }
    }

    /// Whether a list of collections may name this one.
    pub fn sees(&self, collection: &str) -> bool {
        self.scope.has(collection)
    }

    /// Whether the principal sees all that a key of this scope would.
    pub fn may_grant(&self, scope: &Scope) -> bool {
        match (&self.scope, scope) {
            (Scope::All, _) => true,
            (Scope::Only(_), Scope::All) => false,
            (Scope::Only(own), Scope::Only(names)) => names.is_subset(own),
        }
    }

    /// The proof that the principal may do `need` in a collection. One that it
    /// may not see is denied as one that does not exist.
    pub fn collection(&self, name: &str, need: Role) -> Result<Granted, Denied> {
        if !self.sees(name) {
            return Err(Denied::NoCollection { name: name.to_owned() });
        }
        self.require(need)?;
        Ok(Granted { name: name.to_owned(), role: need })
    }
}

/// The proof that somebody may use a collection. Only
/// [`Principal::collection`] makes one, and what opens, searches or changes a
/// collection asks for one, so that the check cannot be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    name: String,
    role: Role,
}

impl Granted {
    /// The collection.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What may be done in it.
    pub fn role(&self) -> Role {
        self.role
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The whole rule, said once more in another way.
        #[test]
        fn a_collection_is_granted_to_who_sees_it_and_has_the_role(
            has in 0_usize..3, need in 0_usize..3,
            names in proptest::collection::vec("[ab]{1,2}", 0..3), asked in "[ab]{1,2}",
        ) {
            let (has, need) = (Role::ALL[has], Role::ALL[need]);
            let scope = Scope::of(&names);
            let principal = Principal::new("k", "", has, scope, KeyLimits::default());
            let granted = principal.collection(&asked, need);
            let sees = names.is_empty() || names.contains(&asked);
            match granted {
                Ok(granted) => {
                    prop_assert!(sees && need <= has);
                    prop_assert_eq!((granted.name(), granted.role()), (asked.as_str(), need));
                }
                Err(Denied::NoCollection { .. }) => prop_assert!(!sees),
                Err(_) => prop_assert!(sees && has < need),
            }
        }
    }

    #[test]
    fn the_order_of_roles_is_the_order_of_power() {
        assert!(Role::Read < Role::Write && Role::Write < Role::Admin);
        assert_eq!(Role::parse("admin"), Some(Role::Admin));
        assert_eq!(Role::parse("root"), None);
    }
}
