//! Hosts that are none: network namespaces with addresses of their own on a bridge, whose links can be set down.
//!
//! Needs Linux, root and `ip` (iproute2). Everything that is made is removed again.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A /24 of the network that is set aside for measuring (RFC 2544).
const NETWORK: &str = "198.18.77";
const PORT: u16 = 7701;

/// A bridge and the hosts on it.
#[derive(Debug)]
pub(crate) struct Namespaces {
    bridge: String,
    hosts: usize,
}

impl Namespaces {
    /// Makes so many hosts.
    ///
    /// # Errors
    /// When this is not Linux, the user is not root, or there is no `ip`; the message says so.
    pub(crate) fn new(hosts: usize) -> Result<Namespaces> {
        // Of names that the kernel takes, which have 15 letters at most.
        let made = Namespaces { bridge: format!("wpb{}", std::process::id()), hosts };
        made.build().context("--cut needs Linux, root and `ip` with network namespaces")?;
        Ok(made)
    }

    fn build(&self) -> Result<()> {
        let bridge = &self.bridge;
        ip(&["link", "add", bridge, "type", "bridge"])?;
        ip(&["link", "set", bridge, "up"])?;
        for host in 0..self.hosts {
            let (space, link, address) = (self.space(host), self.link(host), format!("{}/24", address(host)));
            ip(&["netns", "add", &space])?;
            ip(&["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &space])?;
            ip(&["link", "set", &link, "master", bridge, "up"])?;
            ip(&["-n", &space, "address", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &space, "link", "set", "lo", "up"])?;
            ip(&["-n", &space, "link", "set", "eth0", "up"])?;
        }
        Ok(())
    }

    /// Where the processes on these hosts listen.
    pub(crate) fn addresses(processes: usize) -> Vec<String> {
        (0..processes).map(|host| format!("{}:{PORT}", address(host))).collect()
    }

    /// A command that runs a program on a host; its process becomes the program's.
    pub(crate) fn command(&self, host: usize, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(host)]).arg(program);
        command
    }

    /// Cuts a host off, or lets it come back.
    ///
    /// # Errors
    /// When the link cannot be set.
    pub(crate) fn set_link(&self, host: usize, up: bool) -> Result<()> {
        ip(&["link", "set", &self.link(host), if up { "up" } else { "down" }])
    }

    fn space(&self, host: usize) -> String {
        format!("{}-{host}", self.bridge)
    }

    fn link(&self, host: usize) -> String {
        format!("{}v{host}", self.bridge)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // What was never made cannot be removed; of the rest, links go with their namespaces.
        for host in 0..self.hosts {
            drop(ip(&["netns", "delete", &self.space(host)]));
        }
        drop(ip(&["link", "delete", &self.bridge]));
    }
}

fn address(host: usize) -> String {
    format!("{NETWORK}.{}", host + 1)
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("could not start ip")?;
    if !output.status.success() {
        bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
