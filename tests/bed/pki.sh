#!/usr/bin/env bash
# Makes the bed's certificates in $RUN/pki and a kubeconfig for every client. They live as long as one run.
set -euo pipefail
. "$(dirname "$0")/env.sh"

mkdir -p "$RUN/pki"
cd "$RUN/pki"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

key ca.key
openssl req -x509 -key ca.key -out ca.crt -subj /CN=sockaudit-bed -days 30
key sa.key
openssl ec -in sa.key -pubout -out sa.pub 2>/dev/null

certificate() { # certificate NAME SUBJECT
  key "$1.key"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 30 2>/dev/null -extfile <(
    echo "subjectAltName=DNS:localhost,DNS:kubernetes.default.svc,DNS:$NODE,IP:127.0.0.1,IP:10.96.0.1"
    echo "extendedKeyUsage=clientAuth,serverAuth"
  )
}

client() { # client NAME SUBJECT: a certificate and the kubeconfig $RUN/NAME.conf
  certificate "$1" "$2"
  local config=(kubectl config --kubeconfig "$RUN/$1.conf")
  "${config[@]}" set-cluster bed --server=https://127.0.0.1:6443 --certificate-authority=ca.crt --embed-certs
  "${config[@]}" set-credentials "$1" --client-certificate="$1.crt" --client-key="$1.key" --embed-certs
  "${config[@]}" set-context bed --cluster=bed --user="$1"
  "${config[@]}" use-context bed
} >/dev/null

certificate apiserver /CN=kube-apiserver
certificate apiserver-kubelet /O=system:masters/CN=apiserver-kubelet
client admin /O=system:masters/CN=admin
client controller-manager /CN=system:kube-controller-manager
client scheduler /CN=system:kube-scheduler
client kubelet "/O=system:nodes/CN=system:node:$NODE"
