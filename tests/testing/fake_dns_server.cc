#include "tests/testing/fake_dns_server.h"

#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"

namespace certcast::testing {
namespace {

struct LdnsDeleter {
  void operator()(ldns_pkt* p) const { ldns_pkt_free(p); }
  void operator()(ldns_rr* p) const { ldns_rr_free(p); }
};
template <typename T>
using LdnsPtr = std::unique_ptr<T, LdnsDeleter>;

void Check(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::abort();
}

}  // namespace

FakeDnsServer::FakeDnsServer() {
  socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  Check(socket_ >= 0, "socket");
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Check(bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "bind");
  socklen_t size = sizeof(address);
  Check(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Serve(); });
}

FakeDnsServer::~FakeDnsServer() {
  stop_ = true;
  thread_.join();
  close(socket_);
}

std::string FakeDnsServer::address() const {
  return absl::StrCat("127.0.0.1:", port_);
}

void FakeDnsServer::Add(const std::string& record) {
  const absl::MutexLock lock(&mutex_);
  records_.push_back(record);
}

void FakeDnsServer::Clear() {
  const absl::MutexLock lock(&mutex_);
  records_.clear();
}

void FakeDnsServer::Serve() {
  while (!stop_) {
    pollfd poller = {.fd = socket_, .events = POLLIN};
    if (poll(&poller, 1, 20) <= 0) continue;
    char buffer[4096];
    sockaddr_in from = {};
    socklen_t size = sizeof(from);
    const ssize_t received = recvfrom(socket_, buffer, sizeof(buffer), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (received <= 0) continue;
    ++questions_;
    if (silent_) continue;
    const std::string answer = Answer(std::string(buffer, received));
    sendto(socket_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
}

std::string FakeDnsServer::Answer(const std::string& question) {
  ldns_pkt* raw = nullptr;
  Check(ldns_wire2pkt(&raw, reinterpret_cast<const uint8_t*>(question.data()), question.size()) == LDNS_STATUS_OK,
        "parsing a DNS question");
  const LdnsPtr<ldns_pkt> packet(raw);
  recursion_desired_ = ldns_pkt_rd(packet.get()) != 0;
  const ldns_rr* asked = ldns_rr_list_rr(ldns_pkt_question(packet.get()), 0);
  bool name_exists = false;
  const absl::MutexLock lock(&mutex_);
  for (const std::string& text : records_) {
    ldns_rr* parsed = nullptr;
    Check(ldns_rr_new_frm_str(&parsed, text.c_str(), 60, nullptr, nullptr) == LDNS_STATUS_OK, text.c_str());
    LdnsPtr<ldns_rr> record(parsed);
    if (ldns_dname_compare(ldns_rr_owner(record.get()), ldns_rr_owner(asked)) != 0) continue;
    name_exists = true;
    const ldns_rr_type type = ldns_rr_get_type(record.get());
    if (type != ldns_rr_get_type(asked) && type != LDNS_RR_TYPE_CNAME) continue;
    ldns_pkt_push_rr(packet.get(), LDNS_SECTION_ANSWER, record.release());
  }
  ldns_pkt_set_qr(packet.get(), true);
  ldns_pkt_set_aa(packet.get(), !recursive_);
  ldns_pkt_set_ra(packet.get(), recursive_);
  ldns_pkt_set_rcode(packet.get(), rcode_ != 0 ? rcode_.load() : name_exists ? 0 : LDNS_RCODE_NXDOMAIN);
  if (wrong_id_) ldns_pkt_set_id(packet.get(), ldns_pkt_id(packet.get()) + 1);
  uint8_t* wire = nullptr;
  size_t size = 0;
  Check(ldns_pkt2wire(&wire, packet.get(), &size) == LDNS_STATUS_OK, "writing a DNS answer");
  std::string answer(reinterpret_cast<char*>(wire), size);
  std::free(wire);
  return answer;
}

}  // namespace certcast::testing
