// nodemailer with its transport "sendmail": it leaves Bcc in the header and gives the recipients as operands.
const fs = require("fs");
const nodemailer = require("/srv/node_modules/nodemailer");

const transport = nodemailer.createTransport({ sendmail: true, path: "/usr/sbin/sendmail", newline: process.argv[2] });
transport
    .sendMail({
        from: "Rådgivning <rps@sender.example>",
        to: "Bob <bob@receiver.example>",
        cc: "carol@receiver.example",
        bcc: "hidden@receiver.example",
        subject: "Passwort zurücksetzen",
        text: fs.readFileSync("/srv/body.txt", "utf8"),
        headers: { "X-Long": "word ".repeat(30).trim() },
        attachments: [{ filename: "bytes.bin", content: Buffer.from([0, 255, 13, 10, 46, 13, 10]) }],
    })
    .catch((error) => {
        console.error(error.message);
        process.exitCode = 1;
    });
