#include "common/service/preset.h"

namespace certcast {

const std::vector<Preset>& Presets() {
  static const auto& presets = *new std::vector<Preset>{
      {.name = "nginx", .check = {"nginx", "-t"}, .reload = {"nginx", "-s", "reload"}},
      {.name = "apache", .check = {"apachectl", "-t"}, .reload = {"apachectl", "graceful"}},
      // haproxy can't reload itself: its master process does on SIGUSR2, which systemd knows how to send.
      {.name = "haproxy",
       .check = {"haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg"},
       .reload = {"systemctl", "reload", "haproxy"}},
  };
  return presets;
}

}  // namespace certcast
