package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// user is somebody whom the API server knows by a static token.
type user struct {
	name   string
	groups []string
}

// people are the users in the kubeconfig that is handed out. Alice and Bob are cluster administrators by a binding, as people
// are, and not by the group that passes every authorizer.
var people = []user{
	{name: "admin", groups: []string{"system:masters"}},
	{name: "alice@example.com", groups: []string{peopleGroup, "team-a"}},
	{name: "bob@example.com", groups: []string{peopleGroup, "team-b"}},
}

// machines are the control plane's own components.
var machines = []user{
	{name: "system:kube-controller-manager"},
	{name: "system:kube-scheduler"},
}

// peopleGroup is bound to cluster-admin once the API server is ready.
const peopleGroup = "trueup:people"

// validity is long enough for a state folder that is kept for a while.
const validity = 10 * 365 * 24 * time.Hour

// credentials are the files of a state folder that say who is who.
type credentials struct {
	dir    string
	tokens map[string]string
}

func (c credentials) file(name string) string { return filepath.Join(c.dir, name) }

// loadCredentials reads the credentials of a state folder, or makes them where there are none.
func loadCredentials(dir string) (credentials, error) {
	c := credentials{dir: dir, tokens: map[string]string{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return c, err
	}
	everybody := append(append([]user{}, people...), machines...)
	complete := true
	for _, u := range everybody {
		token, err := os.ReadFile(c.file("token-" + u.name))
		if err != nil {
			complete = false
			break
		}
		c.tokens[u.name] = string(token)
	}
	if complete {
		return c, nil
	}
	if err := c.makeCertificates(); err != nil {
		return c, err
	}
	return c, c.makeTokens(everybody)
}

// makeTokens comes last in the making: the token files say that a folder is complete.
func (c credentials) makeTokens(everybody []user) error {
	var table bytes.Buffer
	for _, u := range everybody {
		random := make([]byte, 16)
		if _, err := rand.Read(random); err != nil {
			return err
		}
		token := hex.EncodeToString(random)
		c.tokens[u.name] = token
		groups := ""
		for i, group := range u.groups {
			if i > 0 {
				groups += ","
			}
			groups += group
		}
		fmt.Fprintf(&table, "%s,%s,%s,%q\n", token, u.name, u.name, groups)
	}
	if err := os.WriteFile(c.file("tokens.csv"), table.Bytes(), 0o600); err != nil {
		return err
	}
	for _, u := range everybody {
		if err := os.WriteFile(c.file("token-"+u.name), []byte(c.tokens[u.name]), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (c credentials) makeCertificates() error {
	caKey, err := c.newKey("ca.key")
	if err != nil {
		return err
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "trueup-controlplane"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if err := c.sign("ca.crt", ca, ca, &caKey.PublicKey, caKey); err != nil {
		return err
	}
	serverKey, err := c.newKey("apiserver.key")
	if err != nil {
		return err
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "kube-apiserver"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(validity),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)},
	}
	if err := c.sign("apiserver.crt", server, ca, &serverKey.PublicKey, caKey); err != nil {
		return err
	}
	_, err = c.newKey("service-accounts.key")
	return err
}

func (c credentials) newKey(name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	return key, os.WriteFile(c.file(name), block, 0o600)
}

func (c credentials) sign(name string, cert, parent *x509.Certificate, public *ecdsa.PublicKey, signer *ecdsa.PrivateKey) error {
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, public, signer)
	if err != nil {
		return err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return os.WriteFile(c.file(name), block, 0o644)
}

// writeKubeconfig writes a kubeconfig with a context for each user, of which the first is the current one.
func (c credentials) writeKubeconfig(path, server string, users []user) error {
	authority, err := os.ReadFile(c.file("ca.crt"))
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["trueup"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: authority}
	for _, u := range users {
		config.AuthInfos[u.name] = &clientcmdapi.AuthInfo{Token: c.tokens[u.name]}
		config.Contexts[u.name] = &clientcmdapi.Context{Cluster: "trueup", AuthInfo: u.name}
	}
	config.CurrentContext = users[0].name
	return clientcmd.WriteToFile(*config, path)
}
