//! Whether the addresses of a configuration are free, before anything is started.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use tollgate_core::config::deploy::Checked;

/// Says which address is not free, and which setting asks for it.
pub(super) fn check_free(checked: &Checked) -> Result<(), String> {
    for (setting, address) in addresses(checked) {
        if address.port() == 0 {
            return Err(format!(
                "{setting}: port 0 is any port: write the one that should be used"
            ));
        }
        // Freed again at once; what takes it in between is told by Envoy's own log.
        TcpListener::bind(address).map_err(|error| {
            if error.kind() == ErrorKind::AddrInUse {
                let (port, ip) = (address.port(), address.ip());
                format!(
                    "{setting}: port {port} is taken on {ip}: \
                     stop what listens there, or write another port"
                )
            } else {
                format!("{setting}: cannot listen on {address}: {error}")
            }
        })?;
    }
    Ok(())
}

fn addresses(checked: &Checked) -> Vec<(String, SocketAddr)> {
    let deployment = &checked.deployment;
    let mut addresses = vec![
        ("listen.address".to_owned(), deployment.listen),
        ("admin.address".to_owned(), deployment.admin),
    ];
    if let Some(local) = deployment
        .budget
        .as_ref()
        .and_then(|budget| budget.local.as_ref())
    {
        addresses.push(("budget_service.listen".to_owned(), local.listen));
        addresses.push(("budget_service.admin".to_owned(), local.admin));
    }
    let providers = checked.gateway.providers.iter();
    for (provider, upstream) in providers.zip(&deployment.upstreams) {
        if let Some(fake) = upstream.fake {
            addresses.push((format!("providers.{}.fake", provider.name), fake));
        }
    }
    addresses
}
