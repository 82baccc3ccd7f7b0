//! The merged configuration before its values are checked: what is set, as it was written. The
//! keys are those of the schema, which explains them.

use std::collections::HashMap;

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) workers: Option<i64>,
    pub(super) listener: HashMap<String, RawListener>,
    pub(super) certificate: HashMap<String, RawCertificate>,
    pub(super) service: HashMap<String, RawService>,
    pub(super) restart: RawRestart,
    pub(super) limits: RawLimits,
    pub(super) metrics: RawMetrics,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawListener {
    pub(super) address: Option<String>,
    pub(super) certificates: Vec<String>,
    pub(super) trusted: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawCertificate {
    pub(super) chain: Option<String>,
    pub(super) key: Option<String>,
    pub(super) names: Vec<String>,
    pub(super) roots: Option<String>,
    pub(super) renew_unit: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawService {
    pub(super) listeners: Option<Vec<String>>,
    pub(super) hosts: Option<Vec<String>>,
    pub(super) paths: Option<Vec<String>>,
    pub(super) backends: Option<Vec<RawBackend>>,
    pub(super) unit: Option<String>,
    pub(super) restart: RawRestart,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawBackend {
    Address(String),
    Table {
        address: Option<String>,
        unit: Option<String>,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRestart {
    pub(super) close_code: Option<i64>,
    pub(super) lost_code: Option<i64>,
    pub(super) reason: Option<String>,
    pub(super) retry: Option<String>,
    pub(super) spread: Option<String>,
    pub(super) deadline: Option<String>,
    pub(super) close_timeout: Option<String>,
    pub(super) hold: Option<String>,
    pub(super) max_held: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) clients: Option<i64>,
    pub(super) handshakes: Option<i64>,
    pub(super) handshake_timeout: Option<String>,
    pub(super) stall_timeout: Option<String>,
    pub(super) header_bytes: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawMetrics {
    pub(super) listen: Option<String>,
}
