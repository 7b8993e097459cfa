"""Names of Ansible's that say nothing about how kxflow reaches a host: they stay variables.

Source: Ansible's list of special variables, the options of its connection, shell and become plugins, and the facts that
its `setup` module gathers, which inventories may pin.
"""

from __future__ import annotations

import re
from typing import Final

# What Ansible runs on the host and how it moves it there: none of it is needed here.
_PLUGINS: Final = (
    r"\w+_interpreter|shell_\w+|remote_tmp|local_tmp|remote_tmp_\w+|system_tmpdirs|admin_users|common_remote_group"
    r"|async_dir|module_compression|no_log|debugger|diff|check_mode|pipelining|ssh_pipelining|ssh_transfer_method"
    r"|transfer_method|scp_if_ssh|scp_extra_args|sftp_extra_args|ssh_scp_\w+|ssh_sftp_\w+|scp_executable"
    r"|sftp_executable|sftp_batch_mode|ssh_retries|ssh_reconnection_retries|control_path|control_path_dir"
    r"|ssh_control_\w+|ssh_use_tty|ssh_usetty|sshpass_prompt|ssh_verbosity|ssh_pkcs11_provider|ssh_agent\w*"
    r"|command_timeout|connect_timeout|connect_retry_timeout|persistent_\w+|connection_path|connection_password"
    r"|become_(?:plugin|allow_same_user|pass_prompt|prompt_\w+|success\w*|fail\w*|ask_pass)"
    r"|(?:winrm|psrp|httpapi|netconf|network|paramiko|libssh|aws_ssm|docker|podman|lxc|lxd|jail|zone|chroot|buildah"
    r"|qubes|vmware_tools|saltstack|kubectl|oc|proxy|proxmox\w*|incus|nspawn)_\w+"
)
_MAGIC: Final = (
    r"managed|version|facts|local|check_mode|diff_mode|forks|inventory_sources|limit|loop\w*|index_var|play\w*"
    r"|playbook_python|role_\w+|run_tags|skip_tags|search_path|parent_role_\w+|dependent_role_names|collection_name"
    r"|config_file|verbosity|delegated_vars|failed_\w+|job_id|group_priority"
)
_FACTS: Final = (
    r"all_ipv[46]_addresses|apparmor|architecture|bios_\w+|board_\w+|chassis_\w+|cmdline|date_time|default_ipv[46]"
    r"|device_links|devices|distribution\w*|dns|domain|effective_\w+|env|facter_\w+|fibre_channel_wwn|fips|flags"
    r"|form_factor|fqdn|gather_subset|hostname|hostnqn|interfaces|is_chroot|iscsi_iqn|kernel\w*|lastboot|loadavg|lsb"
    r"|lvm|machine\w*|mem\w+|model|mounts|nodename|ohai_\w+|os_family|osversion|osrevision|pkg_mgr|proc_cmdline"
    r"|processor\w*|product_\w+|python\w*|real_\w+|selinux\w*|service_mgr|services|ssh_host_key_\w+|swap\w+|system\w*"
    r"|uptime_\w+|user_(?:dir|gecos|gid|id|shell|uid)|userspace_\w+|virtualization_\w+"
    r"|(?:lo|eth|ens|eno|enp|enx|em|bond|br|docker|virbr|veth|wlan|wlp|tun|tap|team|vmbr|venet|cni|flannel)\w*"
)
_KNOWN: Final = re.compile(rf"ansible_(?:{_PLUGINS}|{_MAGIC}|{_FACTS})")


def is_known(name: str) -> bool:
    """Whether Ansible gives this name a meaning that has nothing to do with reaching the host from here.

    >>> [is_known(f"ansible_{each}") for each in ("python_interpreter", "distribution", "prot")]
    [True, True, False]
    """
    return _KNOWN.fullmatch(name) is not None
