# The gem mail, as Rails sends with it. One recipient has a name that must be quoted for a shell.
require 'mail'

message = Mail.new do
  charset = 'UTF-8'
  from 'Rådgivning <rps@sender.example>'
  to ['Bob <bob@receiver.example>', "o'neil@receiver.example", 'x=y@receiver.example']
  bcc 'hidden@receiver.example'
  subject 'Passwort zurücksetzen'
  content_type 'text/plain; charset=UTF-8'
  body File.read('/srv/body.txt', encoding: 'UTF-8')
end
message.delivery_method :sendmail
message.deliver!
