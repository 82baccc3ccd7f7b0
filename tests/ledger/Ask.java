// Asks a server for a page as Java does by default. Arguments: the name, the port, and a PEM file
// with the root. Prints what is wrong, if anything is.

import java.io.FileInputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

class Ask {
    public static void main(String[] arguments) throws Exception {
        var store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (var file = new FileInputStream(arguments[2])) {
            store.setCertificateEntry("root", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        var context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        var plain = new Socket(InetAddress.getLoopbackAddress(), Integer.parseInt(arguments[1]));
        plain.setSoTimeout(30_000);
        try (var socket = (SSLSocket) context.getSocketFactory().createSocket(plain, arguments[0], plain.getPort(), true)) {
            var parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.startHandshake();
            socket.getOutputStream().write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".getBytes());
            if (socket.getInputStream().read() < 0) throw new Exception("no answer");
        } catch (Exception error) {
            System.out.print(error.getMessage());
        }
    }
}
