# systemd-creds seals the key over the gateway's secrets by the box's TPM.
PACKAGECONFIG:append:gantry-box = " tpm2"
